"""Operations on tokens."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from example.models import Member, Token, User, now
from tests.service import Service, expect, expect_problem
from tests.web.conftest import limited


def days_left(token: dict[str, Any]) -> float:
    return (datetime.fromisoformat(token["expires_at"]) - now()) / timedelta(days=1)


def test_a_new_token_has_what_was_asked_for(shared: Service) -> None:
    wanted = {"name": "ci", "scopes": ["packages:publish", "jobs:read"], "resources": ["team-*"], "allowed_ips": ["10.0.0.0/8"]}
    made = shared.new_token(**wanted, expires_in_days=30)
    assert {key: made[key] for key in wanted} == wanted
    assert 29.9 < days_left(made) <= 30
    assert made["token"].startswith(made["prefix"])


def test_a_token_is_shown_once_and_never_cached(shared: Service) -> None:
    answer = shared.post("/tokens", {"name": "once"})
    made = expect(answer, 201)
    assert answer.headers["cache-control"] == "no-store"
    assert "token" not in expect(shared.get(f"/tokens/{made['id']}"), 200)
    assert made["token"] not in shared.get("/tokens", params={"limit": 1000}).text


def test_what_is_left_out_is_as_in_the_asking_token(shared: Service) -> None:
    parent = {"scopes": ["packages:read", "tokens:write"], "resources": ["a*"], "allowed_ips": ["127.0.0.0/8"], "expires_in_days": 10}
    child = expect(shared.post("/tokens", headers=limited(shared, **parent)), 201)
    assert (child["scopes"], child["resources"], child["allowed_ips"]) == (parent["scopes"], parent["resources"], parent["allowed_ips"])
    assert days_left(child) <= 10


@pytest.mark.parametrize(("wanted", "status", "code"), [
    ({"scopes": ["packages:publish"]}, 403, "insufficient_scope"),
    ({"scopes": ["tokens:admin"]}, 403, "insufficient_scope"),
    ({"scopes": ["packages:read"], "resources": []}, 403, "resource_not_in_token"),
    ({"scopes": ["packages:read"], "resources": ["*"]}, 403, "resource_not_in_token"),
    ({"scopes": ["packages:read"], "resources": ["a*", "b"]}, 403, "resource_not_in_token"),
    ({"scopes": ["packages:read"], "allowed_ips": []}, 403, "ip_not_allowed"),
    ({"scopes": ["packages:read"], "allowed_ips": ["0.0.0.0/0"]}, 403, "ip_not_allowed"),
    ({"scopes": ["packages:read"], "allowed_ips": ["::/0"]}, 403, "ip_not_allowed"),
    ({"scopes": ["packages:read"], "expires_in_days": 11}, 403, "forbidden"),
])  # fmt: skip
def test_a_token_cannot_give_more_than_it_has(shared: Service, wanted: dict[str, Any], status: int, code: str) -> None:
    parent = {"scopes": ["packages:read", "tokens:write"], "resources": ["a*"], "allowed_ips": ["127.0.0.0/8"], "expires_in_days": 10}
    expect_problem(shared.post("/tokens", wanted, headers=limited(shared, **parent)), status, code)


def test_a_token_with_a_scope_that_no_longer_exists_can_still_make_tokens(shared: Service) -> None:
    made = shared.new_token()
    assert shared.services is not None
    old = ["packages:fly", "packages:read", "tokens:write"]
    shared.services.core.database.transact(lambda s: s.execute(update(Token).where(Token.id == made["id"]).values(scopes=old)))
    child = expect(shared.post("/tokens", {}, headers=shared.with_token(made["token"])), 201)
    assert child["scopes"] == ["packages:read", "tokens:write"]


@pytest.mark.parametrize(("body", "field"), [
    ({"name": ""}, "name"), ({"name": "x" * 101}, "name"), ({"name": "a\nb"}, "name"), ({"name": "a\0"}, "name"), ({"name": 1}, "name"),
    ({"scopes": []}, "scopes"), ({"scopes": ["packages:fly"]}, "scopes.0"), ({"scopes": "packages:read"}, "scopes"),
    ({"resources": ["a**"]}, "resources.0"), ({"resources": ["-a"]}, "resources.0"), ({"resources": ["a\n"]}, "resources.0"),
    ({"resources": ["a"] * 51}, "resources"), ({"expires_in_days": 0}, "expires_in_days"), ({"expires_in_days": 367}, "expires_in_days"),
    ({"expires_in_days": 1.5}, "expires_in_days"), ({"expires_in_days": 10**30}, "expires_in_days"),
    ({"allowed_ips": ["10.0.0.1/8"]}, "allowed_ips.0"), ({"allowed_ips": ["10.0.0.0/8", "here"]}, "allowed_ips.1"), ({"more": 1}, "more"),
])  # fmt: skip
def test_what_a_token_cannot_be_is_refused_by_field(shared: Service, body: dict[str, Any], field: str) -> None:
    problem = expect_problem(shared.post("/tokens", body), 422, "validation_error")
    assert [error["field"] for error in problem["errors"]] == [field]


def test_the_list_has_pages_with_a_total_and_a_link(service: Service) -> None:
    ids = [service.new_token()["id"] for _ in range(4)]
    first = service.get("/tokens", params={"limit": 3})
    assert first.headers["x-total-count"] == "5"
    second = service.http.get(first.links["next"]["url"])
    assert [token["id"] for token in expect(first, 200) + expect(second, 200)] == sorted({1, *ids})
    assert "link" not in second.headers


def test_others_tokens_are_not_found(service: Service) -> None:
    made = service.new_token()
    assert service.services is not None

    def give_away(session: Any) -> None:
        other = User(username="other")
        session.add(other)
        session.flush()
        session.add(Member(workspace_id=1, user_id=other.id, role="viewer"))
        session.execute(update(Token).where(Token.id == made["id"]).values(owner_id=other.id))

    service.services.core.database.transact(give_away)
    for answer in (
        service.get(f"/tokens/{made['id']}"),
        service.delete(f"/tokens/{made['id']}"),
        service.post(f"/tokens/{made['id']}/regenerate"),
        service.http.put(f"/api/v1/tokens/{made['id']}/allowed-ips", json={"allowed_ips": []}),
    ):
        expect_problem(answer, 404, "not_found")
    assert [token["id"] for token in expect(service.get("/tokens"), 200)] == [1]
    expect(service.delete("/tokens/all"), 200)
    expect(service.get("/packages", headers=service.with_token(made["token"])), 200)


@pytest.mark.parametrize("path", ["/token/{}", "/tokens/{}"])
def test_revoking_again_changes_nothing(shared: Service, path: str) -> None:
    made = shared.new_token()
    assert expect(shared.delete(path.format(made["id"])), 200) == {}
    first = expect(shared.get(f"/tokens/{made['id']}"), 200)["revoked_at"]
    assert expect(shared.delete(path.format(made["id"])), 200) == {}
    assert first is not None
    assert expect(shared.get(f"/tokens/{made['id']}"), 200)["revoked_at"] == first


def test_a_token_can_revoke_itself(shared: Service) -> None:
    made = shared.new_token()
    headers = shared.with_token(made["token"])
    expect(shared.delete(f"/tokens/{made['id']}", headers=headers), 200)
    expect_problem(shared.get("/packages", headers=headers), 401, "token_revoked")


def test_revoking_all_spares_the_token_in_use(service: Service) -> None:
    others = [service.new_token() for _ in range(2)]
    assert expect(service.delete("/tokens/all"), 200) == {}
    for other in others:
        expect_problem(service.get("/packages", headers=service.with_token(other["token"])), 401, "token_revoked")
    expect(service.get("/packages"), 200)


def test_revoking_all_needs_the_highest_scope(shared: Service) -> None:
    expect_problem(shared.delete("/tokens/all", headers=limited(shared, scopes=["tokens:write"])), 403, "insufficient_scope")


def test_regenerating_ends_the_old_secret_and_keeps_everything_else(shared: Service) -> None:
    wanted = {"name": "ci", "scopes": ["packages:read"], "resources": ["a*"], "allowed_ips": ["127.0.0.1"]}
    old = shared.new_token(**wanted, expires_in_days=30)
    new = expect(shared.post(f"/tokens/{old['id']}/regenerate"), 200)
    assert {key: new[key] for key in wanted} == wanted
    assert new["rotated_from"] == old["id"]
    expect_problem(shared.get("/packages", headers=shared.with_token(old["token"])), 401, "token_revoked")
    expect(shared.get("/packages", headers=shared.with_token(new["token"])), 200)


@pytest.mark.parametrize("hours", [0, 24])
def test_a_regenerated_token_lives_as_long_as_the_old_one_was_made_to(shared: Service, hours: int) -> None:
    old = shared.new_token(expires_in_days=30)
    new = expect(shared.post(f"/tokens/{old['id']}/regenerate", {"overlap_hours": hours}), 200)
    assert 29.9 < days_left(new) <= 30


def test_with_an_overlap_the_old_secret_works_for_that_long(shared: Service) -> None:
    old = shared.new_token()
    expect(shared.post(f"/tokens/{old['id']}/regenerate", {"overlap_hours": 24}), 200)
    expect(shared.get("/packages", headers=shared.with_token(old["token"])), 200)
    assert 0.9 < days_left(expect(shared.get(f"/tokens/{old['id']}"), 200)) <= 1


def test_an_overlap_never_lengthens_a_life(shared: Service) -> None:
    old = shared.new_token()
    assert shared.services is not None
    soon = now() + timedelta(hours=1)
    shared.services.core.database.transact(lambda s: s.execute(update(Token).where(Token.id == old["id"]).values(expires_at=soon)))
    expect(shared.post(f"/tokens/{old['id']}/regenerate", {"overlap_hours": 24}), 200)
    assert days_left(expect(shared.get(f"/tokens/{old['id']}"), 200)) < 0.1


@pytest.mark.parametrize("hours", [0, 1])
def test_regenerating_twice_is_a_conflict(shared: Service, hours: int) -> None:
    old = shared.new_token()
    expect(shared.post(f"/tokens/{old['id']}/regenerate", {"overlap_hours": hours}), 200)
    expect_problem(shared.post(f"/tokens/{old['id']}/regenerate", {"overlap_hours": hours}), 409, "conflict")


def test_a_revoked_token_cannot_be_regenerated(shared: Service) -> None:
    old = shared.new_token()
    shared.delete(f"/tokens/{old['id']}")
    expect_problem(shared.post(f"/tokens/{old['id']}/regenerate"), 409, "conflict")


def test_a_token_can_regenerate_itself(shared: Service) -> None:
    old = shared.new_token(scopes=["tokens:write"])
    new = expect(shared.post(f"/tokens/{old['id']}/regenerate", headers=shared.with_token(old["token"])), 200)
    expect(shared.get("/tokens", headers=shared.with_token(new["token"])), 200)


STRONGER = [{"scopes": ["packages:admin"]}, {"scopes": ["tokens:write"], "resources": []}, {"scopes": ["tokens:read"], "allowed_ips": []}]


@pytest.mark.parametrize("stronger", STRONGER)
def test_a_weaker_token_cannot_regenerate_a_stronger_one(shared: Service, stronger: dict[str, Any]) -> None:
    """It would hold the secret of a token that may do more than itself."""
    strong = shared.new_token(**stronger)
    weak = limited(shared, scopes=["tokens:write"], resources=["a*"], allowed_ips=["127.0.0.0/8"])
    expect_problem(shared.post(f"/tokens/{strong['id']}/regenerate", headers=weak), 403, "insufficient_scope")
    expect(shared.get(f"/tokens/{strong['id']}"), 200)


def test_a_weaker_token_cannot_widen_where_a_stronger_one_may_be_used(shared: Service) -> None:
    strong = shared.new_token(allowed_ips=["192.0.2.1"])
    answer = shared.http.put(
        f"/api/v1/tokens/{strong['id']}/allowed-ips", json={"allowed_ips": []}, headers=limited(shared, scopes=["tokens:write"])
    )
    expect_problem(answer, 403, "insufficient_scope")


def test_the_allowed_addresses_can_be_replaced_and_count_at_once(shared: Service) -> None:
    made = shared.new_token()
    headers, path = shared.with_token(made["token"]), f"/api/v1/tokens/{made['id']}/allowed-ips"
    assert expect(shared.http.put(path, json={"allowed_ips": ["192.0.2.7"]}), 200)["allowed_ips"] == ["192.0.2.7"]
    expect_problem(shared.get("/packages", headers=headers), 403, "ip_not_allowed")
    expect(shared.http.put(path, json={"allowed_ips": []}), 200)
    expect(shared.get("/packages", headers=headers), 200)


def test_a_token_cannot_lift_its_own_limit(shared: Service) -> None:
    made = shared.new_token(allowed_ips=["127.0.0.0/8"])
    answer = shared.http.put(f"/api/v1/tokens/{made['id']}/allowed-ips", json={"allowed_ips": []}, headers=shared.with_token(made["token"]))
    expect_problem(answer, 403, "ip_not_allowed")


@pytest.mark.parametrize("networks", [["10.0.0.1/8"], ["nowhere"], [""], ["1" * 50]])
def test_what_is_no_network_is_refused(shared: Service, networks: list[str]) -> None:
    answer = shared.http.put(f"/api/v1/tokens/{shared.new_token()['id']}/allowed-ips", json={"allowed_ips": networks})
    problem = expect_problem(answer, 422, "validation_error")
    assert problem["errors"][0]["field"] == "allowed_ips.0"


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("POST", "/regenerate")])
@pytest.mark.parametrize(("token_id", "status", "code"), [
    ("999999", 404, "not_found"), ("0", 422, "validation_error"), ("2147483648", 422, "validation_error"),
    ("x", 422, "validation_error"),
])  # fmt: skip
def test_a_token_that_is_not_there(shared: Service, method: str, path: str, token_id: str, status: int, code: str) -> None:
    expect_problem(shared.http.request(method, f"/api/v1/tokens/{token_id}{path}"), status, code)
