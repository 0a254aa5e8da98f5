"""Workspaces and their members over HTTP: who may do what, and what nobody may see."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest

from example.models import User, now
from tests.holders import Holder, holder, token_in
from tests.service import Service, expect, expect_problem
from tests.web.conftest import Fresh, limited


@pytest.fixture
def owner(shared: Service, fresh: Fresh) -> Holder:
    """Somebody who is a member of nothing but what they make."""
    return holder(shared, fresh.name("owner"))


@pytest.fixture
def team(shared: Service, fresh: Fresh, owner: Holder) -> str:
    """A workspace of ``owner``'s."""
    return make(shared, owner, fresh.name("team"))


def make(service: Service, who: Holder, name: str) -> str:
    expect(service.post("/workspaces", {"name": name}, headers=who.headers), 201)
    return name


def put(service: Service, path: str, body: Any, who: Holder) -> Any:
    return service.http.put(f"/api/v1{path}", json=body, headers=who.headers)


def add(service: Service, team: str, who: Holder, role: str, by: Holder) -> None:
    expect(put(service, f"/workspaces/{team}/members/{who.name}", {"role": role}, by), 200)


def member(service: Service, fresh: Fresh, team: str, role: str, by: Holder) -> Holder:
    made = holder(service, fresh.name(role))
    add(service, team, made, role, by)
    return made


def roles(service: Service, team: str, who: Holder) -> dict[str, str]:
    listed = expect(service.get(f"/workspaces/{team}/members", headers=who.headers), 200)
    return {one["username"]: one["role"] for one in listed}


def test_who_creates_a_workspace_owns_it(shared: Service, fresh: Fresh, owner: Holder) -> None:
    name = fresh.name("team")
    answer = shared.post("/workspaces", {"name": name, "description": "Ours"}, headers=owner.headers)
    made = expect(answer, 201)
    assert (made["name"], made["description"], made["role"]) == (name, "Ours", "owner")
    assert answer.headers["location"] == f"/api/v1/workspaces/{name}"
    assert expect(shared.get(f"/workspaces/{name}", headers=owner.headers), 200) == made
    assert roles(shared, name, owner) == {owner.name: "owner"}


@pytest.mark.parametrize("name", ["x", "-x", "x-", "Team", "te am", "te_am", "~1", "x" * 64, ""])
def test_a_name_that_is_none_is_refused(shared: Service, name: str) -> None:
    expect_problem(shared.post("/workspaces", {"name": name}), 422, "validation_error")


def test_a_name_is_taken_even_for_who_cannot_see_by_whom(shared: Service, fresh: Fresh, team: str) -> None:
    outsider = holder(shared, fresh.name("outsider"))
    problem = expect_problem(shared.post("/workspaces", {"name": team}, headers=outsider.headers), 409, "workspace_exists")
    assert problem["detail"] == f"the name '{team}' is taken; choose another"


def test_everybody_sees_their_own_workspaces_and_an_administrator_all(shared: Service, fresh: Fresh, owner: Holder, team: str) -> None:
    other = make(shared, holder(shared, fresh.name("other")), fresh.name("other"))
    answer = shared.get("/workspaces", headers=owner.headers)
    assert [(one["name"], one["role"]) for one in expect(answer, 200)] == [(team, "owner")]
    assert answer.headers["x-total-count"] == "1"
    everything = {one["name"]: one["role"] for one in expect(shared.get("/workspaces", params={"limit": 1000}), 200)}
    assert {"default", team, other} <= set(everything) and set(everything.values()) == {"owner"}


def test_a_list_of_workspaces_has_pages(shared: Service, fresh: Fresh, owner: Holder) -> None:
    made = [make(shared, owner, fresh.name("team")) for _ in range(3)]
    first = shared.get("/workspaces", params={"limit": 2}, headers=owner.headers)
    assert first.headers["x-total-count"] == "3" and 'rel="next"' in first.headers["link"]
    rest = shared.http.get(first.links["next"]["url"], headers=owner.headers)
    assert [one["name"] for one in first.json() + rest.json()] == made and "link" not in rest.headers


def test_what_an_outsider_asks_of_a_workspace_is_answered_as_if_it_were_not_there(shared: Service, fresh: Fresh, team: str) -> None:
    outsider, absent = holder(shared, fresh.name("outsider"), "owner"), fresh.name("absent")
    asked = [
        ("GET", "", None), ("DELETE", "", None), ("DELETE", "?force=true", None), ("GET", "/settings", None), ("PUT", "/settings", {}),
        ("GET", "/members", None), ("PUT", f"/members/{outsider.name}", {"role": "owner"}), ("DELETE", f"/members/{outsider.name}", None),
    ]  # fmt: skip
    for method, path, body in asked:
        seen = []
        for name in (team, absent):
            answer = shared.http.request(method, f"/api/v1/workspaces/{name}{path}", json=body, headers=outsider.headers)
            seen.append(expect_problem(answer, 404, "not_found")["detail"].replace(name, "*"))
        assert seen[0] == seen[1], (method, path)


@pytest.mark.parametrize("path", ["/packages", "/package/1", "/jobs", "/tokens", "/tokens/1", "/audit", "/audit/export", "/environments"])
def test_a_workspace_that_an_outsider_names_is_not_there(shared: Service, fresh: Fresh, team: str, path: str) -> None:
    outsider, absent = holder(shared, fresh.name("outsider"), "owner"), fresh.name("absent")
    seen = []
    for name in (team, absent):
        problem = expect_problem(shared.get(path, headers=outsider.headers | {"X-Workspace": name}), 404, "not_found")
        assert expect_problem(shared.get(path, headers=outsider.headers, params={"workspace": name}), 404, "not_found")
        seen.append(problem["detail"].replace(name, "*"))
    assert seen[0] == seen[1]


def test_nothing_of_a_workspace_is_in_another_ones_lists(shared: Service, fresh: Fresh, owner: Holder, team: str) -> None:
    inside, word = token_in(shared, owner, team), fresh.name("secretive")
    package = expect(shared.post("/packages", {"name": word, "version": "1.0"}, headers=inside), 201)
    job = expect(shared.post(f"/package/{package['id']}/download", headers=inside), 202)["task_id"]
    outsider = holder(shared, fresh.name("outsider"), "owner")
    for path in ("/packages", "/jobs", "/tokens", "/workspaces", "/audit", "/audit/export", "/environments"):
        answer = shared.get(path, headers=outsider.headers)
        assert answer.status_code == 200 and word not in answer.text and team not in answer.text and job not in answer.text, path
    assert shared.get("/packages", params={"name": word}, headers=outsider.headers).headers["x-total-count"] == "0"
    for path in (f"/package/{package['id']}", f"/jobs/{job}"):
        assert word not in expect_problem(shared.get(path, headers=outsider.headers), 404, "not_found")["detail"]


def test_settings_are_everybodys_to_read_and_a_maintainers_to_change(shared: Service, fresh: Fresh, owner: Holder, team: str) -> None:
    viewer, maintainer = (member(shared, fresh, team, role, owner) for role in ("viewer", "maintainer"))
    path = f"/workspaces/{team}/settings"
    assert expect(shared.get(path, headers=viewer.headers), 200) == {"description": "", "longest_token_days": 366}
    problem = expect_problem(put(shared, path, {"description": "x"}, viewer), 403, "insufficient_role")
    assert (problem["required_role"], problem["your_role"]) == ("maintainer", "viewer")
    assert expect(put(shared, path, {"description": "Ours"}, maintainer), 200) == {"description": "Ours", "longest_token_days": 366}
    assert expect(put(shared, path, {"longest_token_days": 30}, maintainer), 200) == {"description": "Ours", "longest_token_days": 30}


def test_new_tokens_live_as_long_as_the_workspace_allows(shared: Service, fresh: Fresh, owner: Holder, team: str) -> None:
    inside = token_in(shared, owner, team)
    expect(put(shared, f"/workspaces/{team}/settings", {"longest_token_days": 7}, owner), 200)
    expect_problem(shared.post("/tokens", {"expires_in_days": 8}, headers=inside), 403, "forbidden")
    expect(shared.post("/tokens", {"expires_in_days": 7}, headers=inside), 201)


def test_a_token_that_is_sent_to_another_workspace_says_where_it_acts(shared: Service, owner: Holder, team: str) -> None:
    for other in ("default", "nowhere"):
        problem = expect_problem(shared.get("/packages", headers=token_in(shared, owner, team) | {"X-Workspace": other}), 404, "not_found")
        assert f"acts in the workspace '{team}' only, and sees no '{other}'" in problem["detail"]


def test_a_regenerated_token_lives_no_longer_than_the_workspace_allows_now(shared: Service, owner: Holder, team: str) -> None:
    inside = token_in(shared, owner, team)
    old = expect(shared.post("/tokens", {"expires_in_days": 60}, headers=inside), 201)
    expect(put(shared, f"/workspaces/{team}/settings", {"longest_token_days": 7}, owner), 200)
    fresh = expect(shared.post(f"/tokens/{old['id']}/regenerate", headers=inside), 200)
    assert datetime.fromisoformat(fresh["expires_at"]) - datetime.fromisoformat(fresh["created_at"]) <= timedelta(days=7, seconds=5)


def test_a_role_that_is_given_counts_on_the_next_request_and_one_that_is_taken_too(
    shared: Service, fresh: Fresh, owner: Holder, team: str
) -> None:
    somebody = holder(shared, fresh.name("somebody"))
    inside, wanted = token_in(shared, somebody, team), {"name": "hello", "version": "2.1.0"}
    expect_problem(shared.get("/packages", headers=inside), 404, "not_found")
    add(shared, team, somebody, "viewer", owner)
    expect(shared.get("/packages", headers=inside), 200)
    expect_problem(shared.post("/packages", wanted, headers=inside), 403, "insufficient_role")
    add(shared, team, somebody, "developer", owner)
    expect(shared.post("/packages", wanted, headers=inside), 201)
    assert shared.delete(f"/workspaces/{team}/members/{somebody.name}", headers=owner.headers).status_code == 204
    expect_problem(shared.get("/packages", headers=inside), 404, "not_found")


def test_nobody_gives_or_takes_a_role_above_their_own(shared: Service, fresh: Fresh, owner: Holder, team: str) -> None:
    maintainer = member(shared, fresh, team, "maintainer", owner)
    other = member(shared, fresh, team, "developer", maintainer)
    path = f"/workspaces/{team}/members"
    assert (
        expect_problem(put(shared, f"{path}/{other.name}", {"role": "owner"}, maintainer), 403, "insufficient_role")["required_role"]
        == "owner"
    )
    expect_problem(put(shared, f"{path}/{maintainer.name}", {"role": "owner"}, maintainer), 403, "insufficient_role")
    expect_problem(put(shared, f"{path}/{owner.name}", {"role": "viewer"}, maintainer), 403, "insufficient_role")
    expect_problem(shared.delete(f"{path}/{owner.name}", headers=maintainer.headers), 403, "insufficient_role")
    add(shared, team, other, "maintainer", maintainer)
    assert roles(shared, team, other) == {owner.name: "owner", maintainer.name: "maintainer", other.name: "maintainer"}


@pytest.mark.parametrize("role", ["viewer", "developer"])
def test_below_maintainers_nobody_changes_members_but_everybody_may_leave(
    shared: Service, fresh: Fresh, owner: Holder, team: str, role: str
) -> None:
    somebody, path = member(shared, fresh, team, role, owner), f"/workspaces/{team}/members"
    expect_problem(put(shared, f"{path}/{somebody.name}", {"role": role}, somebody), 403, "insufficient_role")
    expect_problem(shared.delete(f"{path}/{owner.name}", headers=somebody.headers), 403, "insufficient_role")
    assert shared.delete(f"{path}/{somebody.name.upper()}", headers=somebody.headers).status_code == 204
    expect_problem(shared.get(path, headers=somebody.headers), 404, "not_found")


def test_who_is_not_there_cannot_be_added_nor_removed(shared: Service, fresh: Fresh, owner: Holder, team: str) -> None:
    absent = fresh.name("absent")
    problem = expect_problem(put(shared, f"/workspaces/{team}/members/{absent}", {"role": "viewer"}, owner), 404, "not_found")
    assert problem["detail"] == f"there is nobody with the user name '{absent}'; they have to register first"
    stranger = holder(shared, fresh.name("stranger"))
    seen = [
        expect_problem(shared.delete(f"/workspaces/{team}/members/{name}", headers=owner.headers), 404, "not_found")["detail"]
        for name in (absent, stranger.name)
    ]
    assert seen[0].replace(absent, "*") == seen[1].replace(stranger.name, "*")


def disable(service: Service, who: Holder) -> None:
    assert service.services is not None

    def off(session: Any) -> None:
        session.get(User, who.user_id).disabled_at = now()

    service.services.core.database.transact(off)


def test_somebody_who_is_disabled_cannot_be_added_and_does_not_count_as_an_owner(
    shared: Service, fresh: Fresh, owner: Holder, team: str
) -> None:
    stranger = holder(shared, fresh.name("stranger"))
    disable(shared, stranger)
    expect_problem(put(shared, f"/workspaces/{team}/members/{stranger.name}", {"role": "viewer"}, owner), 404, "not_found")
    second = member(shared, fresh, team, "owner", owner)
    disable(shared, second)
    expect_problem(shared.delete(f"/workspaces/{team}/members/{owner.name}", headers=owner.headers), 409, "last_owner")
    assert shared.delete(f"/workspaces/{team}/members/{second.name}", headers=owner.headers).status_code == 204


def test_the_last_owner_stays_whoever_asks(shared: Service, fresh: Fresh, owner: Holder, team: str) -> None:
    path = f"/workspaces/{team}/members/{owner.name}"
    for headers in (owner.headers, None):  # the owner, and an administrator
        for answer in (shared.delete(path, headers=headers), shared.http.put(f"/api/v1{path}", json={"role": "viewer"}, headers=headers)):
            expect_problem(answer, 409, "last_owner")
    member(shared, fresh, team, "owner", owner)
    expect(put(shared, path, {"role": "owner"}, owner), 200)
    expect(put(shared, path, {"role": "viewer"}, owner), 200)


def test_a_list_of_members_has_pages(shared: Service, fresh: Fresh, owner: Holder, team: str) -> None:
    others = [member(shared, fresh, team, "viewer", owner).name for _ in range(2)]
    first = shared.get(f"/workspaces/{team}/members", params={"limit": 2}, headers=owner.headers)
    assert first.headers["x-total-count"] == "3"
    rest = shared.http.get(first.links["next"]["url"], headers=owner.headers)
    assert [one["username"] for one in first.json() + rest.json()] == [owner.name, *others]


def test_workspaces_need_their_own_scopes(shared: Service, fresh: Fresh) -> None:
    name = fresh.name("team")
    expect(shared.post("/workspaces", {"name": name}), 201)
    read, write = (limited(shared, scopes=[f"workspaces:{rung}"]) for rung in ("read", "write"))
    other = limited(shared, scopes=["packages:admin", "users:write", "audit:export"])
    path = f"/workspaces/{name}"
    expect(shared.get(path, headers=read), 200)
    for answer in (
        shared.get("/workspaces", headers=other),
        shared.post("/workspaces", {"name": "x1"}, headers=read),
        shared.http.put(f"/api/v1{path}/settings", json={}, headers=read),
        shared.delete(path, headers=write),
    ):
        expect_problem(answer, 403, "insufficient_scope")


def test_an_owner_deletes_an_empty_workspace_and_its_name_is_free(shared: Service, fresh: Fresh, owner: Holder, team: str) -> None:
    maintainer, inside = member(shared, fresh, team, "maintainer", owner), token_in(shared, owner, team)
    expect_problem(shared.delete(f"/workspaces/{team}", headers=maintainer.headers), 403, "insufficient_role")
    assert shared.delete(f"/workspaces/{team}", headers=owner.headers).status_code == 204
    expect_problem(shared.get(f"/workspaces/{team}", headers=owner.headers), 404, "not_found")
    expect_problem(shared.get("/packages", headers=inside), 401, "token_revoked")
    again = holder(shared, fresh.name("again"))
    make(shared, again, team)
    assert roles(shared, team, again) == {again.name: "owner"}


def test_what_is_in_a_workspace_keeps_it_until_force_is_asked_for(shared: Service, owner: Holder, team: str) -> None:
    inside = token_in(shared, owner, team)
    for version in ("1.0", "2.0"):
        expect(shared.post("/packages", {"name": "hello", "version": version}, headers=inside), 201)
    problem = expect_problem(shared.delete(f"/workspaces/{team}", headers=owner.headers), 409, "workspace_not_empty")
    assert (problem["packages"], problem["environments"]) == (2, 0) and "?force=true" in problem["detail"]
    assert shared.delete(f"/workspaces/{team}", params={"force": True}, headers=owner.headers).status_code == 204
    expect_problem(shared.get(f"/workspaces/{team}"), 404, "not_found")


def test_the_default_workspace_stays(shared: Service) -> None:
    expect_problem(shared.delete("/workspaces/default", params={"force": True}), 409, "conflict")


def test_a_token_that_is_limited_to_some_packages_deletes_no_workspace(shared: Service, fresh: Fresh) -> None:
    name = fresh.name("team")
    expect(shared.post("/workspaces", {"name": name}), 201)
    expect_problem(shared.delete(f"/workspaces/{name}", headers=limited(shared, resources=["team-*"])), 403, "resource_not_in_token")


def at_once(*requests: Any) -> list[int]:
    """Send these at the same moment; answers their statuses."""
    ready, statuses = threading.Barrier(len(requests)), []

    def send(request: Any) -> None:
        ready.wait()
        statuses.append(request().status_code)

    threads = [threading.Thread(target=send, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(statuses)


def owners(service: Service, team: str) -> list[str]:
    """As an administrator sees them."""
    listed = expect(service.get(f"/workspaces/{team}/members"), 200)
    return [one["username"] for one in listed if one["role"] == "owner"]


@pytest.mark.slow
def test_of_two_owners_who_remove_each_other_one_remains(shared: Service, fresh: Fresh, owner: Holder) -> None:
    other = holder(shared, fresh.name("other"))
    for _ in range(20):
        team = make(shared, owner, fresh.name("team"))
        add(shared, team, other, "owner", owner)
        path = f"/workspaces/{team}/members"
        statuses = at_once(
            lambda path=path: shared.delete(f"{path}/{other.name}", headers=owner.headers),
            lambda path=path: shared.delete(f"{path}/{owner.name}", headers=other.headers),
        )
        assert statuses == [204, 404] and len(owners(shared, team)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("ways", [("leave", "leave"), ("leave", "step down"), ("step down", "step down")])
def test_of_two_last_owners_who_go_at_once_one_stays(shared: Service, fresh: Fresh, owner: Holder, ways: tuple[str, str]) -> None:
    other = holder(shared, fresh.name("other"))

    def go(team: str, who: Holder, way: str) -> Any:
        path = f"/workspaces/{team}/members/{who.name}"
        return shared.delete(path, headers=who.headers) if way == "leave" else put(shared, path, {"role": "viewer"}, who)

    for _ in range(12):
        team = make(shared, owner, fresh.name("team"))
        add(shared, team, other, "owner", owner)
        statuses = at_once(*(lambda t=team, w=who, y=way: go(t, w, y) for who, way in zip((owner, other), ways, strict=True)))
        assert statuses[1] == 409 and len(owners(shared, team)) == 1


@pytest.mark.slow
def test_of_ten_who_create_a_workspace_at_once_one_does(shared: Service, fresh: Fresh) -> None:
    name = fresh.name("team")
    people = [holder(shared, fresh.name("racer")) for _ in range(10)]
    assert at_once(*(lambda w=who: shared.post("/workspaces", {"name": name}, headers=w.headers) for who in people)) == [201] + [409] * 9
    assert len(owners(shared, name)) == 1


def test_a_token_limited_to_some_packages_decides_about_no_member(shared: Service, fresh: Fresh, owner: Holder, team: str) -> None:
    inside = token_in(shared, owner, team)
    limited_one = expect(shared.post("/tokens", {"resources": ["hello*"]}, headers=inside), 201)
    headers = shared.with_token(limited_one["token"])
    guest = holder(shared, fresh.name("guest"))
    path = f"/api/v1/workspaces/{team}/members/{guest.name}"
    expect_problem(shared.http.put(path, json={"role": "owner"}, headers=headers), 403, "resource_not_in_token")
    expect_problem(shared.post(f"/workspaces/{team}/invitations", {"role": "owner"}, headers=headers), 403, "resource_not_in_token")
    assert roles(shared, team, owner) == {owner.name: "owner"}


def test_a_token_that_another_regenerates_does_not_outlive_that_one(shared: Service, owner: Holder, team: str) -> None:
    inside = token_in(shared, owner, team)
    long, short = (expect(shared.post("/tokens", {"expires_in_days": days}, headers=inside), 201) for days in (80, 2))
    fresh = expect(shared.post(f"/tokens/{long['id']}/regenerate", headers=shared.with_token(short["token"])), 200)
    assert fresh["expires_at"] == short["expires_at"]
