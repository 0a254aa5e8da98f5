"""One's own account, others, and invitations over the API."""

from __future__ import annotations

from typing import Any

import pytest

from example.identity import accounts, passwords
from example.identity.roles import Role
from example.models import Workspace
from tests.people import PASSWORD, Person, a_name, somebody, transact
from tests.service import Service, expect, expect_problem
from tests.web.conftest import limited

NEW = "nine sleepy herons at dusk"


@pytest.fixture
def alice(shared: Service) -> Person:
    return somebody(shared).log_in()


def test_everybody_sees_their_own_account_and_of_others_the_name(shared: Service, alice: Person) -> None:
    own = expect(alice.get("/users/me"), 200)
    assert own["email"] == f"{alice.name}@example.com" and own["workspaces"] == [{"name": "default", "role": "developer"}]
    assert expect(shared.get(f"/users/{alice.name.upper()}"), 200) == {"username": alice.name, "created_at": own["created_at"]}


@pytest.mark.parametrize(("name", "status", "code"), [("nobody-here", 404, "not_found"), ("x" * 65, 422, "validation_error")])
def test_there_is_nobody_of_another_name(shared: Service, name: str, status: int, code: str) -> None:
    expect_problem(shared.get(f"/users/{name}"), status, code)


def test_a_token_reads_and_changes_users_by_its_scopes(shared: Service) -> None:
    reader, stranger = limited(shared, scopes=["users:read"]), limited(shared, scopes=["packages:admin"])
    expect(shared.get("/users/me", headers=reader), 200)
    expect_problem(shared.http.put("/api/v1/users/me", json={}, headers=reader), 403, "insufficient_scope")
    expect_problem(shared.get("/users/me", headers=stranger), 403, "insufficient_scope")


def test_a_new_address_takes_the_current_password(alice: Person) -> None:
    assert "send it as current_password" in expect_problem(alice.put_me(email="new@example.com"), 403, "forbidden")["detail"]
    wanted = f"{a_name('new')}@Example.com"
    assert expect(alice.put_me(email=wanted, current_password=PASSWORD), 200)["email"] == wanted.lower()
    expect_problem(alice.put_me(email="Other@example.com", current_password="wrong"), 403, "forbidden")
    assert expect(alice.put_me(), 200)["email"] == wanted.lower(), "nothing asked, nothing changed"


def test_an_address_that_somebody_else_has_is_a_conflict(shared: Service, alice: Person) -> None:
    other = somebody(shared)
    problem = expect_problem(alice.put_me(email=f"{other.name}@example.com", current_password=PASSWORD), 409, "account_exists")
    assert problem["field"] == "email"


def test_a_new_password_ends_the_other_sessions_and_spares_this_one_and_tokens(shared: Service, alice: Person) -> None:
    other = Person(shared, alice.name).log_in()
    pat = expect(alice.post("/tokens", {"scopes": ["packages:read"]}), 201)["token"]
    expect(alice.put_me(current_password=PASSWORD, new_password=NEW), 200)
    expect_problem(other.get("/users/me"), 401, "token_revoked")
    expect_problem(other.try_refresh(), 401, "token_revoked")
    alice = alice.refresh()
    expect(alice.get("/users/me"), 200)
    expect(shared.get("/packages", headers=shared.with_token(pat)), 200)
    expect_problem(alice.try_log_in(), 401, "login_failed")
    expect(alice.try_log_in(password=NEW), 200)


@pytest.mark.parametrize(("changes", "status", "code"), [
    ({"new_password": NEW}, 403, "forbidden"), ({"password": NEW}, 422, "validation_error"),
    ({"new_password": "qwertyuiop", "current_password": PASSWORD}, 422, "validation_error"),
    ({"new_password": "short", "current_password": PASSWORD}, 422, "validation_error"),
    ({"new_password": NEW, "current_password": "wrong"}, 403, "forbidden"),
])  # fmt: skip
def test_a_password_that_cannot_be_set_is_not_repeated(alice: Person, changes: dict[str, Any], status: int, code: str) -> None:
    answer = alice.put_me(**changes)
    expect_problem(answer, status, code)
    assert NEW not in answer.text and PASSWORD not in answer.text and "qwertyuiop" not in answer.text
    expect(alice.get("/users/me"), 200)


def test_guessing_the_current_password_is_limited_as_logging_in_is(alice: Person) -> None:
    for _ in range(10):
        expect_problem(alice.put_me(current_password="wrong", new_password=NEW), 403, "forbidden")
    expect_problem(alice.put_me(current_password=PASSWORD, new_password=NEW), 429, "rate_limited")


def test_of_two_changes_at_once_the_second_is_told_that_the_password_is_another_now(
    shared: Service, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = passwords.hashed

    def meanwhile(password: str) -> str:
        transact(shared, lambda session: setattr(accounts.find(session, alice.name), "password_hash", "another"))
        return hashed(password)

    monkeypatch.setattr(passwords, "hashed", meanwhile)
    expect_problem(alice.put_me(current_password=PASSWORD, new_password=NEW), 401, "login_failed")


def test_an_account_without_a_password_gets_its_first_from_the_operator(shared: Service) -> None:
    answer = shared.http.put("/api/v1/users/me", json={"current_password": "x", "new_password": NEW})
    assert "example-admin users set-password" in expect_problem(answer, 403, "forbidden")["detail"]


@pytest.fixture
def team(shared: Service) -> str:
    """A workspace that nobody is in."""
    name = a_name("guild")
    transact(shared, lambda session: session.add(Workspace(name=name)))
    return name


def test_an_invitation_is_made_and_accepted_once(shared: Service, alice: Person, team: str) -> None:
    maker = somebody(shared, role=Role.MAINTAINER, workspace=team).log_in()
    answer = maker.post(f"/workspaces/{team}/invitations", {"role": "viewer", "expires_in_days": 1})
    made = expect(answer, 201)
    assert made == {"invitation": made["invitation"], "role": "viewer", "workspace": team, "expires_at": made["expires_at"]}
    assert answer.headers["cache-control"] == "no-store" and made["invitation"].startswith("pm_inv_")
    expect_problem(alice.get(f"/workspaces/{team}"), 404, "not_found")
    assert expect(alice.post("/users/me/invitations", {"invitation": made["invitation"]}), 200) == {"workspace": team, "role": "viewer"}
    expect(alice.get(f"/workspaces/{team}"), 200)
    expect_problem(alice.post("/users/me/invitations", {"invitation": made["invitation"]}), 404, "not_found")


def test_without_a_body_it_is_one_for_a_developer(shared: Service, team: str) -> None:
    assert expect(shared.post(f"/workspaces/{team}/invitations"), 201)["role"] == "developer"


@pytest.mark.parametrize(("role", "wanted", "status", "code"), [
    (Role.DEVELOPER, "viewer", 403, "insufficient_role"), (Role.MAINTAINER, "owner", 403, "insufficient_role"),
    (None, "viewer", 404, "not_found"), (Role.OWNER, "emperor", 422, "validation_error"),
])  # fmt: skip
def test_an_invitation_that_may_not_be_given(shared: Service, team: str, role: Role | None, wanted: str, status: int, code: str) -> None:
    person = somebody(shared, role=role, workspace=team).log_in()
    expect_problem(person.post(f"/workspaces/{team}/invitations", {"role": wanted}), status, code)
