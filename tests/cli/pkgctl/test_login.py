"""`pkgctl login`: what it asks, what it leaves at the server and on the machine, and what it never shows."""

import getpass
import json
import os
import socket
from pathlib import Path

import pytest

from example.cli.pkgctl import credentials, login
from example.cli.pkgctl.credentials import Saved

from .accounts import ACCESS, GRANT, MADE, MASKED, ME, PASSWORD, PAT, REFRESH, asked, members, open_to
from .conftest import Run
from .keyboard import pipe, sit
from .scripted import Service

KEPT = Saved(PAT, 7, expires_at=str(MADE["expires_at"]), username="ada", workspace="default", by_login=True)


@pytest.fixture(autouse=True)
def newcomer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the environment."""
    monkeypatch.delenv("PKGCTL_TOKEN")


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The password comes through a pipe."""
    pipe(monkeypatch, f"{PASSWORD}\n")


def test_a_person_is_asked_and_the_password_does_not_show(service: Service) -> None:
    open_to(service)
    sat = sit("login", answers=(("User name or e-mail:", "ada"), ("Password:", PASSWORD)))
    assert sat.code == 0, sat.seen
    assert "User name or e-mail: ada\n" in sat.seen
    assert f"Logged in to {service.url} as ada (developer in default)" in sat.seen
    assert PASSWORD not in sat.seen
    assert service.asked[0].body == {"username": "ada", "password": PASSWORD}


def test_it_leaves_a_token_for_this_machine_and_no_session(run: Run, service: Service, password: None, person: Path) -> None:
    open_to(service)
    result = run("login", "ada", "--password-stdin")
    assert result.exit_code == 0, result.output
    assert asked(service) == [
        ("POST /auth/login", None),
        ("GET /users/me", ACCESS),
        ("POST /tokens", ACCESS),
        ("POST /auth/logout", ACCESS),
    ]
    assert f"pkgctl on {socket.gethostname()}" in str(service.asked[2].body)
    assert service.asked[2].headers["x-workspace"] == "default"
    assert credentials.load(service.url) == KEPT
    assert f"saved in {person}" in result.stderr
    kept = person.read_text()
    assert REFRESH not in kept and ACCESS not in kept and PASSWORD not in kept


def test_nothing_secret_is_shown(run: Run, service: Service, password: None) -> None:
    open_to(service)
    output = run("login", "ada", "--password-stdin", "--json").output
    assert not [secret for secret in (PASSWORD, PAT, ACCESS, REFRESH) if secret in output]


def test_json_says_what_came_of_it(run: Run, service: Service, password: None, person: Path) -> None:
    open_to(service)
    assert json.loads(run("login", "ada", "--password-stdin", "--json").stdout) == {
        "url": service.url,
        "username": "ada",
        "workspace": "default",
        "role": "developer",
        "credential": "token",
        "saved_in": str(person),
        "token_id": 7,
        "prefix": PAT[:15],
        "expires_at": MADE["expires_at"],
    }


def test_the_token_lives_as_long_as_asked(run: Run, service: Service, password: None) -> None:
    open_to(service)
    run("login", "ada", "--password-stdin", "--token-days", "30")
    assert isinstance(service.asked[2].body, dict)
    assert service.asked[2].body["expires_in_days"] == 30


def test_the_token_is_of_the_workspace_that_was_named(run: Run, service: Service, password: None) -> None:
    open_to(service)
    assert "(owner in team)" in run("login", "ada", "--password-stdin", "--workspace", "team").stdout
    assert service.asked[2].headers["x-workspace"] == "team"


@pytest.mark.parametrize(
    ("me", "chosen"), [(members("team"), "team"), (members("a", "default"), "default"), (members(is_admin=True), "default")]
)
def test_without_a_name_the_workspace_is_the_obvious_one(
    run: Run, service: Service, password: None, me: dict[str, object], chosen: str
) -> None:
    open_to(service, me)
    assert run("login", "ada", "--password-stdin").exit_code == 0
    assert service.asked[2].headers["x-workspace"] == chosen


@pytest.mark.parametrize(
    ("me", "options", "said"),
    [
        (members("a", "b"), [], "you are in several workspaces: a, b\nHint: name one with --workspace"),
        (members(), [], "you are a member of no workspace yet"),
        (members("a"), ["-w", "b"], "there is no workspace 'b' that you can see\nHint: yours: a"),
    ],
)
def test_without_a_workspace_nothing_is_left_behind(
    run: Run, service: Service, password: None, person: Path, me: dict[str, object], options: list[str], said: str
) -> None:
    open_to(service, me)
    result = run("login", "ada", "--password-stdin", *options)
    assert result.exit_code == 1
    assert said in result.stderr
    assert asked(service)[-1] == ("POST /auth/logout", ACCESS)
    assert not person.exists()


def test_a_session_can_be_kept_instead(run: Run, service: Service, password: None) -> None:
    open_to(service)
    assert "The session is saved in" in run("login", "ada", "--password-stdin", "--session", "-w", "team").stderr
    assert [what for what, _ in asked(service)] == ["POST /auth/login", "GET /users/me"]
    expected = Saved(ACCESS, None, REFRESH, str(GRANT["expires_at"]), "ada", "team", by_login=True)
    assert credentials.load(service.url) == expected


def test_a_wrong_password_is_one_clear_line(run: Run, service: Service, password: None, person: Path) -> None:
    service.problem("POST /auth/login", 401, "no account has this name and password; check both", code="login_failed")
    result = run("login", "ada", "--password-stdin")
    assert (result.exit_code, result.stderr) == (1, "Error: no account has this name and password; check both\n")
    assert not person.exists()


def test_too_many_attempts_say_when_to_come_back(run: Run, service: Service, password: None) -> None:
    service.problem("POST /auth/login", 429, "too many log-ins", code="rate_limited", retry_after=1800)
    assert "Hint: try again in 30 min, at " in run("login", "ada", "--password-stdin").stderr


def test_a_password_that_an_answer_repeats_is_not_shown(run: Run, service: Service, password: None) -> None:
    service.problem("POST /auth/login", 400, f"bad body: {PASSWORD}")
    assert run("login", "ada", "--password-stdin").stderr == "Error: bad body: [secret]\n"


@pytest.mark.parametrize("answer", [{"user": ME}, GRANT | {"refresh_token": None}])
def test_an_answer_without_a_session_is_refused(run: Run, service: Service, password: None, answer: object) -> None:
    service.on("POST /auth/login", answer)
    assert "the server answered without a session" in run("login", "ada", "--password-stdin").stderr


def test_an_answer_without_a_token_is_refused_and_the_session_ends(run: Run, service: Service, password: None) -> None:
    open_to(service)
    service.script["POST /tokens"].clear()
    service.on("POST /tokens", MASKED, 201)
    assert "the server answered without a token" in run("login", "ada", "--password-stdin").stderr
    assert asked(service)[-1] == ("POST /auth/logout", ACCESS)


def test_a_token_that_cannot_be_saved_is_revoked(
    run: Run, service: Service, password: None, monkeypatch: pytest.MonkeyPatch, person: Path
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    open_to(service)
    service.on("DELETE /tokens/7", {})
    assert "No space left on device" in run("login", "ada", "--password-stdin").stderr
    assert asked(service)[-2:] == [("DELETE /tokens/7", ACCESS), ("POST /auth/logout", ACCESS)]


def test_a_file_that_cannot_be_used_is_told_before_the_password_is_sent(run: Run, service: Service, password: None, person: Path) -> None:
    credentials.save("http://other", Saved("t"))
    person.chmod(0o644)
    assert "can be read by other users" in run("login", "ada", "--password-stdin").stderr
    assert service.asked == []


def test_a_session_that_does_not_end_is_no_failure(run: Run, service: Service, password: None) -> None:
    open_to(service)
    service.script["POST /auth/logout"].clear()
    service.problem("POST /auth/logout", 503, "busy")
    assert run("login", "ada", "--password-stdin").exit_code == 0


def test_the_token_of_the_log_in_before_is_revoked(run: Run, service: Service, password: None) -> None:
    credentials.save(service.url, Saved("old", 5, by_login=True))
    open_to(service)
    service.on("DELETE /tokens/5", {})
    assert "The log-in before this one: token 5 was revoked" in run("login", "ada", "--password-stdin").stderr
    assert asked(service)[-1] == ("DELETE /tokens/5", "old")
    assert credentials.load(service.url) == KEPT


def test_a_token_before_that_stays_valid_is_told(run: Run, service: Service, password: None) -> None:
    credentials.save(service.url, Saved("old", 5, by_login=True))
    open_to(service)
    service.problem("DELETE /tokens/5", 403, "not yours")
    assert "could not be ended: not yours" in run("login", "ada", "--password-stdin").stderr


def test_a_token_that_was_not_made_by_a_log_in_is_left_alone(run: Run, service: Service, password: None) -> None:
    credentials.save(service.url, Saved("mine", 5))
    open_to(service)
    assert run("login", "ada", "--password-stdin").exit_code == 0
    assert asked(service)[-1][0] == "POST /auth/logout"


@pytest.mark.parametrize("name", ["PKGCTL_TOKEN", "API_KEY"])
def test_a_token_in_the_environment_that_hides_the_log_in_is_told(
    run: Run, service: Service, password: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "other")
    open_to(service)
    assert f"{name} is set and counts more" in run("login", "ada", "--password-stdin").stderr


def test_an_existing_token_is_kept_without_being_seen(service: Service) -> None:
    service.on("GET /users/me", ME)
    service.on("GET /tokens", [MASKED | {"prefix": "pm_pat_other"}, MASKED])
    sat = sit("login", "--token", answers=(("Token:", PAT),))
    assert sat.code == 0, sat.seen
    assert PAT not in sat.seen
    assert credentials.load(service.url) == Saved(PAT, 7, expires_at=str(MADE["expires_at"]), username="ada")


def test_an_existing_token_may_come_through_a_pipe_and_know_little(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, f"{PAT}\n")
    service.problem("GET /users/me", 403, "no users:read", code="insufficient_scope")
    service.problem("GET /tokens", 403, "no tokens:read", code="insufficient_scope")
    assert "as the owner of the token\n" in run("login", "--token").stdout
    assert credentials.load(service.url) == Saved(PAT)


def test_an_existing_token_that_the_server_refuses_is_not_kept(
    run: Run, service: Service, monkeypatch: pytest.MonkeyPatch, person: Path
) -> None:
    pipe(monkeypatch, f"{PAT}\n")
    service.problem("GET /users/me", 401, "revoked", code="token_revoked")
    assert run("login", "--token").exit_code == 1
    assert not person.exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["login", "ada"], ""),
        (["login"], ""),
        (["login", "--token", "--session"], PAT),
        (["login", "ada", "--session", "--token-days", "3"], ""),
        (["login", "ada", "--password-stdin"], "\n"),
        (["login", "--token"], "two words\n"),
        (["login", "ada", "--token-days", "0"], ""),
    ],
)
def test_wrong_usage_asks_no_server(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch, arguments: list[str], text: str) -> None:
    pipe(monkeypatch, text)
    assert run(*arguments).exit_code == 2
    assert service.asked == []


def test_a_pipe_is_not_a_terminal(service: Service) -> None:
    assert sit("login", "ada", "--password-stdin").code == 2


def test_no_answer_ends_it(service: Service) -> None:
    assert sit("login", answers=(("e-mail:", ""),)).code == 1
    assert sit("login", "ada", answers=(("Password:", "\x04"),)).code == 1
    assert service.asked == []


def test_ctrl_c_at_the_password_ends_it(service: Service) -> None:
    assert sit("login", "ada", answers=(("Password:", "\x03"),)).code == 130


def test_a_machine_without_names_has_a_token_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    monkeypatch.setattr(socket, "gethostname", lambda: "h\x07" + "x" * 200)
    assert login._token_name() == "pkgctl on h" + "x" * 89
