"""Register, log in, refresh, log out."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from example.config import Settings
from example.db import Database
from example.identity import accounts
from example.models import AuditEntry
from tests.nixstore import eventually
from tests.people import PASSWORD, Person, a_name, database_of, somebody, transact
from tests.service import Service, expect, expect_problem, in_process, serving


def register(service: Service, **body: Any) -> httpx.Response:
    """A registration without credentials."""
    usual = {"username": a_name(), "email": f"{a_name()}@example.com", "password": PASSWORD}
    return service.post("/auth/register", usual | body, headers=NOBODY)


NOBODY = {"Authorization": ""}


def entries(service: Service, **wanted: Any) -> list[AuditEntry]:
    """What the audit has of these, once the queue is written."""
    assert service.services is not None
    with database_of(service).read() as session:
        return list(session.scalars(select(AuditEntry).filter_by(**wanted).order_by(AuditEntry.seq)))


@pytest.fixture
def alice(shared: Service) -> Person:
    return somebody(shared)


def test_who_registers_sees_their_account_and_can_log_in(shared: Service) -> None:
    name = a_name("Alice.")
    answer = register(shared, username=name, email=f"{name}@example.com")
    made = expect(answer, 201)
    assert made == {
        "id": made["id"], "username": name.lower(), "email": f"{name.lower()}@example.com", "is_admin": False,
        "created_at": made["created_at"], "workspaces": [{"name": "default", "role": "developer"}],
    }  # fmt: skip
    assert answer.headers["cache-control"] == "no-store"
    assert expect(Person(shared, name).log_in().get("/users/me"), 200) == made


@pytest.mark.parametrize(("body", "field"), [
    ({"username": "ab"}, "username"), ({"username": "-ab"}, "username"), ({"email": "x"}, "email"),
    ({"password": "short"}, "password"), ({"password": "qwertyuiop"}, "password"), ({"password": "x" * 129}, "password"),
    ({"password": ["seven lazy otters"]}, "password"), ({"more": "seven lazy otters"}, "more"), ({"password": None}, "password"),
])  # fmt: skip
def test_what_cannot_be_is_refused_by_field_and_no_value_is_repeated(shared: Service, body: dict[str, Any], field: str) -> None:
    answer = register(shared, **body)
    problem = expect_problem(answer, 422, "validation_error")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert "otters" not in answer.text and "qwertyuiop" not in answer.text and "xxxx" not in answer.text


@pytest.mark.parametrize("field", ["username", "email"])
def test_a_taken_name_or_address_is_a_conflict_that_names_it(shared: Service, alice: Person, field: str) -> None:
    taken = {"username": alice.name.upper(), "email": f"{alice.name}@Example.com"}
    problem = expect_problem(register(shared, **{field: taken[field]}), 409, "account_exists")
    assert problem["field"] == field


def test_the_services_own_names_are_taken(shared: Service) -> None:
    assert expect_problem(register(shared, username="Admin"), 409, "account_exists")["field"] == "username"


@pytest.mark.parametrize("invitation", ["", "hello", "pm_inv_" + "0" * 50])
def test_what_is_no_invitation_is_not_found_and_makes_nobody(shared: Service, invitation: str) -> None:
    name = a_name()
    expect_problem(register(shared, username=name, invitation=invitation), 404, "not_found")
    expect_problem(shared.get(f"/users/{name}"), 404, "not_found")


@pytest.mark.parametrize(("rule", "words"), [("closed", "closed here"), ("invite", "by invitation")])
def test_where_registration_is_not_open_it_says_who_makes_accounts(
    shared: Service, monkeypatch: pytest.MonkeyPatch, rule: str, words: str
) -> None:
    assert shared.services is not None
    monkeypatch.setattr(shared.services.core.settings, "registration", rule)
    problem = expect_problem(register(shared), 403, "forbidden")
    assert words in problem["detail"] and "example-admin users create" in problem["detail"]
    code = expect(shared.post("/workspaces/default/invitations", {"role": "viewer"}), 201)["invitation"]
    made = expect(register(shared, invitation=code), 201)
    assert made["workspaces"] == [{"name": "default", "role": "viewer"}]


@pytest.mark.parametrize("way", ["username", "address", "email"])
def test_a_log_in_takes_the_name_or_the_address(shared: Service, alice: Person, way: str) -> None:
    address = f"{alice.name}@example.com"
    given = {"username": {"username": alice.name.upper()}, "address": {"username": address}, "email": {"email": address}}[way]
    answer = shared.post("/auth/login", {**given, "password": PASSWORD}, headers=NOBODY)
    session = expect(answer, 200)
    assert sorted(session) == ["expires_at", "refresh_token", "token", "user"] and session["user"]["username"] == alice.name
    assert answer.headers["cache-control"] == "no-store"
    expect(shared.get("/packages", headers=shared.with_token(session["token"])), 200)


def test_an_unknown_user_and_a_wrong_password_have_the_same_answer(shared: Service, alice: Person) -> None:
    answers = [alice.try_log_in(password="wrong"), alice.try_log_in(name=a_name()), alice.try_log_in(name="local")]
    problems = [expect_problem(answer, 401, "login_failed") for answer in answers]
    assert len({problem["detail"] for problem in problems}) == 1
    assert {answer.headers["www-authenticate"] for answer in answers} == {'Bearer realm="package-master", error="login_failed"'}


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_unknown_user_and_a_wrong_password_take_the_same_time(settings: Settings) -> None:
    for service in in_process(settings.model_copy(update={"rate_limit_login": ""})):
        person, took = somebody(service), {"wrong": [], "unknown": []}  # type: ignore[var-annotated]
        for number in range(16):
            for which, name in (("wrong", person.name), ("unknown", f"nobody{number}")):
                started = time.perf_counter()
                expect_problem(person.try_log_in(name=name, password="wrong"), 401, "login_failed")
                took[which].append(time.perf_counter() - started)
        wrong, unknown = statistics.median(took["wrong"]), statistics.median(took["unknown"])
        assert 0.6 < unknown / wrong < 1.6, took


def test_eleven_wrong_passwords_an_hour_are_one_too_many_and_a_right_one_begins_anew(shared: Service, alice: Person) -> None:
    for _ in range(9):
        expect_problem(alice.try_log_in(password="wrong"), 401, "login_failed")
    alice.log_in()
    for _ in range(10):
        expect_problem(alice.try_log_in(password="wrong"), 401, "login_failed")
    answer = alice.try_log_in()
    assert expect_problem(answer, 429, "rate_limited")["retry_after"] > 0
    somebody(shared).log_in()


def test_a_disabled_user_is_told_so_behind_the_right_password_only(shared: Service, alice: Person) -> None:
    session = alice.log_in()
    transact(shared, lambda db: accounts.disable(db, accounts.find(db, alice.name)))
    expect_problem(session.get("/users/me"), 401, "token_revoked")
    expect_problem(session.try_refresh(), 401, "token_revoked")
    expect_problem(alice.try_log_in(password="wrong"), 401, "login_failed")
    assert "disabled" in expect_problem(alice.try_log_in(), 403, "forbidden")["detail"]


def test_a_hash_of_older_parameters_is_replaced_at_the_log_in(shared: Service, alice: Person) -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    transact(shared, lambda db: setattr(accounts.find(db, alice.name), "password_hash", cheap))
    alice.log_in()
    with database_of(shared).read() as db:
        assert "m=65536,t=3,p=4" in (accounts.find(db, alice.name).password_hash or "")
    alice.log_in()


def test_a_refresh_token_works_once_and_then_ends_the_session(shared: Service, alice: Person) -> None:
    first = alice.log_in()
    second = first.refresh()
    expect(second.get("/users/me"), 200)
    problem = expect_problem(first.try_refresh(), 401, "token_revoked")
    assert "somebody else may have it" in problem["detail"]
    for ended in (first, second):
        expect_problem(ended.get("/users/me"), 401, "token_revoked")
    expect_problem(second.try_refresh(), 401, "token_revoked")
    theft = [entry for entry in entries(shared, action="refresh_session", username=alice.name) if entry.reason == "refresh_token_reused"]
    assert [(entry.status, entry.decision) for entry in theft] == [(401, "denied")]


@pytest.mark.parametrize("text", ["pm_ref_x", "", "pm_pat_" + "0" * 50])
def test_what_is_no_refresh_token_is_said(shared: Service, text: str) -> None:
    expect_problem(shared.post("/auth/refresh", {"refresh_token": text}, headers=NOBODY), 401, "token_malformed")


def test_a_log_out_ends_this_session_and_no_other(shared: Service, alice: Person) -> None:
    leaving, staying = alice.log_in(), alice.log_in()
    assert expect(leaving.post("/auth/logout"), 200) == {}
    expect_problem(leaving.get("/users/me"), 401, "token_revoked")
    expect_problem(leaving.post("/auth/logout"), 401, "token_revoked")
    expect_problem(leaving.try_refresh(), 401, "token_revoked")
    expect(staying.get("/users/me"), 200)


def test_only_sessions_log_out(shared: Service) -> None:
    assert "DELETE /api/v1/tokens/" in expect_problem(shared.post("/auth/logout"), 403, "forbidden")["detail"]
    expect_problem(shared.post("/auth/logout", headers=NOBODY), 401, "credentials_missing")


def test_the_audit_knows_who_logged_in_and_never_what_a_stranger_typed(shared: Service, alice: Person) -> None:
    stranger = a_name("hunter2secret")
    alice.try_log_in(password="wrong")
    expect_problem(alice.try_log_in(name=stranger), 401, "login_failed")
    alice.log_in()
    assert eventually(lambda: len(entries(shared, action="log_in", username=alice.name)) == 2, 5)
    known = entries(shared, action="log_in", username=alice.name)
    assert {(entry.credential, entry.decision, entry.reason, entry.status) for entry in known} == {
        ("password", "denied", "login_failed", 401), ("password", "allowed", None, 200),
    }  # fmt: skip
    everything = entries(shared, action="log_in")
    assert not [entry for entry in everything if any(stranger in str(value) for value in vars(entry).values())]


def test_a_registration_is_its_own_users_in_the_audit(shared: Service) -> None:
    made = expect(register(shared), 201)
    assert [(entry.username, entry.status) for entry in entries(shared, action="register", user_id=made["id"])] == [(made["username"], 201)]


@pytest.fixture
def two(settings: Settings, tmp_path: Path) -> Iterator[tuple[Service, Service]]:
    """Two servers on one database, each a process of its own."""
    with serving(settings, tmp_path / "one") as (_, one), serving(settings, tmp_path / "two") as (_, other):
        yield one, other


@pytest.mark.slow
def test_what_ends_a_session_counts_on_every_process_from_the_next_request_on(two: tuple[Service, Service]) -> None:
    one, other = two
    name = expect(register(one), 201)["username"]
    alice = Person(one, name)
    here, there = alice.log_in(), alice.log_in()

    def on_the_other(person: Person, status: int) -> None:
        expect(other.get("/users/me", headers=person.headers), status)

    for person in (here, there):
        on_the_other(person, 200)
    expect(here.post("/auth/logout"), 200)
    on_the_other(here, 401)
    on_the_other(there, 200)
    newest = alice.log_in()
    expect(newest.put_me(current_password=PASSWORD, new_password=PASSWORD + "!"), 200)
    on_the_other(there, 401)
    on_the_other(newest, 200)
    database = Database(one.settings)
    database.transact(lambda session: accounts.disable(session, accounts.find(session, name)))
    database.close()
    on_the_other(newest, 401)
    expect(newest.get("/users/me"), 401)


def test_without_a_good_invitation_nobody_learns_which_names_are_taken(shared: Service, alice: Person) -> None:
    body = {"username": alice.name, "email": "other@example.org", "password": PASSWORD, "invitation": "pm_inv_" + "0" * 50}
    expect_problem(shared.post("/auth/register", body, headers=shared.anonymous()), 404, "not_found")
