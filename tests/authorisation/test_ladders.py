"""The ladders of scopes, and the three ends of a token: what a rung reaches, what it never does, and what the database keeps."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect, select, text, update

from example.identity import tokens
from example.identity.scopes import closure
from example.models import Token, now
from tests.authorisation.oracle import LADDERS, OPENS, SCOPES
from tests.service import Service, expect, expect_problem


def with_scopes(service: Service, *scopes: str) -> dict[str, str]:
    """Headers with a new token that has exactly these."""
    return service.with_token(service.new_token(scopes=list(scopes))["token"])


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_reaches_itself_and_the_lower_rungs_of_its_ladder_and_nothing_else(scope: str) -> None:
    assert {reached.value for reached in closure([scope])} == {lower for lower in SCOPES if scope in OPENS[lower]}


def test_workspaces_admin_reaches_read_write_and_delete_and_no_other_family() -> None:
    reached = {scope.value for scope in closure(["workspaces:admin"])}
    assert {"workspaces:read", "workspaces:write", "workspaces:delete"} <= reached
    assert not any(scope.startswith(("fcs:", "packages:")) for scope in reached)


def test_fcs_analyze_reaches_read_and_write_and_no_workspace() -> None:
    reached = {scope.value for scope in closure(["fcs:analyze"])}
    assert {"fcs:read", "fcs:write"} <= reached
    assert "workspaces:read" not in reached


def test_all_ladders_together_reach_all_and_none_reaches_none() -> None:
    assert {scope.value for scope in closure([ladder.split()[-1] for ladder in LADDERS])} == set(SCOPES)
    assert closure([]) == frozenset()


def test_the_table_of_scopes_shows_the_ladders(service: Service) -> None:
    shown = {entry["scope"]: set(entry["includes"]) for entry in expect(service.get("/scopes", headers=service.anonymous()), 200)}
    assert shown == {scope: {lower for lower in SCOPES if scope in OPENS[lower]} - {scope} for scope in SCOPES}


def test_a_token_with_workspaces_admin_reads_writes_and_deletes_workspaces_and_touches_no_package(service: Service) -> None:
    headers = with_scopes(service, "workspaces:admin")
    package_id = service.create()
    expect(service.post("/workspaces", {"name": "team"}, headers=headers), 201)
    expect(service.get("/workspaces/team", headers=headers), 200)
    expect(service.http.put("/api/v1/workspaces/team/settings", json={"description": "x"}, headers=headers), 200)
    assert service.delete("/workspaces/team", headers=headers).status_code == 204
    for method, path in (("GET", "/packages"), ("GET", f"/package/{package_id}"), ("DELETE", f"/package/{package_id}")):
        problem = expect_problem(service.http.request(method, f"/api/v1{path}", headers=headers), 403, "insufficient_scope")
        assert problem["your_scopes"] == ["workspaces:admin"]
    expect(service.get(f"/package/{package_id}"), 200)


@pytest.mark.parametrize(("scope", "beyond"), [("workspaces:read", "workspaces:write"), ("workspaces:write", "workspaces:delete")])
def test_a_lower_rung_does_not_reach_the_next(service: Service, scope: str, beyond: str) -> None:
    expect(service.post("/workspaces", {"name": "team"}), 201)
    headers, method = with_scopes(service, scope), "DELETE" if beyond.endswith("delete") else "PUT"
    path, body = ("/workspaces/team", None) if method == "DELETE" else ("/workspaces/team/settings", {"description": "x"})
    problem = expect_problem(service.http.request(method, f"/api/v1{path}", json=body, headers=headers), 403, "insufficient_scope")
    assert problem["required_scope"] == beyond


def test_a_token_with_fcs_analyze_sees_no_workspace(service: Service) -> None:
    headers = with_scopes(service, "fcs:analyze")
    for path in ("/workspaces", "/workspaces/default", "/workspaces/default/members"):
        assert expect_problem(service.get(path, headers=headers), 403, "insufficient_scope")["required_scope"] == "workspaces:read"


def test_an_expired_token_is_token_expired(service: Service) -> None:
    made = service.new_token()
    assert service.services is not None
    past = update(Token).where(Token.id == made["id"]).values(expires_at=now())
    service.services.core.database.transact(lambda session: session.execute(past))
    expect_problem(service.get("/packages", headers=service.with_token(made["token"])), 401, "token_expired")


def test_a_revoked_token_is_token_revoked(service: Service) -> None:
    made = service.new_token()
    expect(service.delete(f"/tokens/{made['id']}"), 200)
    expect_problem(service.get("/packages", headers=service.with_token(made["token"])), 401, "token_revoked")


@pytest.mark.parametrize("state", ["live", "revoked"])
def test_the_same_prefix_with_another_secret_is_token_invalid_whatever_became_of_the_token(service: Service, state: str) -> None:
    made = service.new_token()
    if state == "revoked":
        expect(service.delete(f"/tokens/{made['id']}"), 200)
    forged = tokens.mint(public_id=tokens.parse(made["token"]).public_id)
    assert forged.text != made["token"] and forged.text.startswith(made["prefix"])
    expect_problem(service.get("/packages", headers=service.with_token(forged.text)), 401, "token_invalid")


def test_the_database_holds_of_a_token_its_public_id_and_a_digest_and_nowhere_the_secret(service: Service) -> None:
    assert service.services is not None
    made = [service.new_token()["token"] for _ in range(3)]
    made += [expect(service.post(f"/tokens/{service.new_token()['id']}/regenerate"), 200)["token"]]
    for token in made:
        expect(service.get("/packages", headers=service.with_token(token)), 200)
    database = service.services.core.database
    with database.read() as session:
        for token in made:
            row = session.scalars(select(Token).where(Token.public_id == tokens.parse(token).public_id)).one()
            assert len(row.digest) == 32 and row.digest not in token.encode()
        everything = ""
        for table in inspect(database.engine).get_table_names():
            everything += repr(session.execute(text(f'SELECT * FROM "{table}"')).all())
    for token in [service.token, *made]:
        assert tokens.parse(token).public_id in everything
        assert token not in everything and token[len("pm_pat_") + tokens.ID_LENGTH :][: tokens.SECRET_LENGTH] not in everything
