"""`pkgctl register`: making an account, with or without an invitation."""

import pytest

from .accounts import ME, PASSWORD
from .conftest import Run
from .keyboard import pipe, sit
from .scripted import Service

CODE = "pm_inv_" + "c" * 50


def test_a_person_is_asked_for_everything_and_the_password_twice(service: Service) -> None:
    service.on("POST /auth/register", ME, 201)
    wrong = ("Password again:", "another one")
    answers = (("User name:", "ada"), ("E-mail address:", "ada@example.com"), ("Password:", PASSWORD), wrong)
    sat = sit("register", answers=(*answers, ("Password:", PASSWORD), ("Password again:", PASSWORD)))
    assert sat.code == 0, sat.seen
    assert "The two are not the same. Once more:" in sat.seen
    assert f"Registered ada at {service.url}" in sat.seen
    assert "pkgctl login ada" in sat.seen
    assert PASSWORD not in sat.seen
    assert service.last().body == {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
    assert service.last().headers.get("authorization") is None


def test_an_invitation_is_asked_for_unseen(service: Service) -> None:
    service.on("POST /auth/register", ME, 201)
    answers = (("Password:", PASSWORD), ("Password again:", PASSWORD), ("Invitation:", CODE))
    sat = sit("register", "ada", "--email", "ada@example.com", "--invited", answers=answers)
    assert CODE not in sat.seen
    assert service.last().body == {"username": "ada", "email": "ada@example.com", "password": PASSWORD, "invitation": CODE}


def test_both_secrets_may_come_through_a_pipe(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, f"{PASSWORD}\r\n{CODE}\n")
    service.problem("POST /auth/register", 404, f"there is no such invitation: {CODE}")
    result = run("register", "ada", "--email", "ada@example.com", "--invited", "--password-stdin")
    assert result.stderr == "Error: there is no such invitation: [secret]\n"
    assert service.last().body == {"username": "ada", "email": "ada@example.com", "password": PASSWORD, "invitation": CODE}


def test_a_weak_password_is_refused_by_name(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, "12345678\n")
    service.problem("POST /auth/register", 422, "one field is wrong", errors=[{"field": "password", "message": "too easy to guess"}])
    result = run("register", "ada", "--email", "ada@example.com", "--password-stdin")
    assert (result.exit_code, result.stderr) == (1, "Error: one field is wrong\n  password: too easy to guess\n")


def test_json_is_the_servers_document(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, PASSWORD)
    service.raw("POST /auth/register", b'{"username": "ada"}', 201, "application/json")
    assert run("register", "ada", "--email", "a@b", "--password-stdin", "--json").stdout == '{"username": "ada"}\n'
