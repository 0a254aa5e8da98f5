"""A kept session: its access token is renewed when it has to be, once, however many commands run at the same time."""

import fcntl
import json
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from example.cli.pkgctl import credentials, locking
from example.cli.pkgctl.credentials import Saved
from example.cli.pkgctl.errors import Refused

from .accounts import ACCESS, GRANT, REFRESH, asked
from .conftest import Run
from .scripted import TASK, Service, event, job

FRESH = Saved(ACCESS, None, REFRESH, "2999-01-01T00:00:00Z", "ada", "team", by_login=True)
STALE = replace(FRESH, token="eyJ.access.old", refresh_token="pm_ref_old" + "o" * 40, expires_at="2001-01-01T00:00:00Z")


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch, service: Service) -> None:
    """A person who has only what is kept."""
    monkeypatch.delenv("PKGCTL_TOKEN")
    service.on("GET /packages", [])


def test_a_fresh_access_token_is_used_as_it_is(run: Run, service: Service) -> None:
    credentials.save(service.url, FRESH)
    assert run("list").exit_code == 0
    assert asked(service) == [("GET /packages", ACCESS)]
    assert service.last().headers["x-workspace"] == "team"


def test_one_that_is_over_is_renewed_first_and_what_comes_is_kept(run: Run, service: Service) -> None:
    credentials.save(service.url, STALE)
    service.on("POST /auth/refresh", GRANT)
    assert run("list").exit_code == 0
    assert asked(service) == [("POST /auth/refresh", None), ("GET /packages", ACCESS)]
    assert service.asked[0].body == {"refresh_token": STALE.refresh_token}
    assert credentials.load(service.url) == FRESH


def test_what_comes_is_kept_before_it_is_used(run: Run, service: Service) -> None:
    credentials.save(service.url, STALE)
    service.on("POST /auth/refresh", GRANT)
    service.script["GET /packages"].clear()
    service.problem("GET /packages", 503, "busy")
    assert run("list").exit_code == 1
    assert credentials.load(service.url) == FRESH


def test_one_that_only_the_server_finds_over_is_renewed_and_the_request_sent_again(run: Run, service: Service) -> None:
    credentials.save(service.url, replace(STALE, expires_at="2999-01-01T00:00:00Z"))
    service.script["POST /packages"] = []
    service.problem("POST /packages", 401, "expired", code="token_expired")
    service.on("POST /packages", {"id": 1, "name": "a", "version": "1"}, 201)
    service.on("POST /auth/refresh", GRANT)
    assert run("create", "hello", "1.0").exit_code == 0
    assert [what for what, _ in asked(service)] == ["POST /packages", "POST /auth/refresh", "POST /packages"]
    assert service.asked[0].body == service.last().body == {"name": "hello", "version": "1.0"}


def test_a_followed_log_is_renewed_too(run: Run, service: Service) -> None:
    credentials.save(service.url, replace(STALE, expires_at="2999-01-01T00:00:00Z"))
    service.problem(f"GET /jobs/{TASK}/log", 401, "expired", code="token_expired")
    service.stream(TASK, event("log", "compiling"), event("end", job()))
    service.on("POST /auth/refresh", GRANT)
    assert run("jobs", "log", TASK, "--follow").stdout == "compiling\n"


@pytest.mark.parametrize("expires_at", [None, "soon", "2001-01-01T00:00:00"])
def test_a_time_that_says_nothing_is_left_to_the_server(run: Run, service: Service, expires_at: str | None) -> None:
    credentials.save(service.url, replace(FRESH, expires_at=expires_at))
    assert run("list").exit_code == 0
    assert asked(service) == [("GET /packages", ACCESS)]


def test_a_session_that_has_ended_says_how_to_begin_another(run: Run, service: Service) -> None:
    credentials.save(service.url, STALE)
    service.problem("POST /auth/refresh", 401, f"this session has ended: {STALE.refresh_token}", code="token_revoked")
    result = run("list")
    assert (result.exit_code, result.stderr) == (1, "Error: this session has ended: [secret]\nHint: run: pkgctl login\n")


def test_a_401_for_another_reason_is_not_renewed(run: Run, service: Service) -> None:
    credentials.save(service.url, FRESH)
    service.script["GET /packages"].clear()
    service.problem("GET /packages", 401, f"ended {ACCESS}", code="token_revoked")
    assert run("list").stderr == "Error: ended [secret]\nHint: run: pkgctl login\n"
    assert len(service.asked) == 1


def test_a_session_that_was_logged_out_meanwhile_is_told(run: Run, service: Service) -> None:
    credentials.save(service.url, replace(STALE, expires_at="2999-01-01T00:00:00Z"))

    def log_out() -> None:
        credentials.forget(service.url)

    service.script["GET /packages"].clear()
    service.problem("GET /packages", 401, "expired", code="token_expired")
    service.script["GET /packages"][0] = replace(service.script["GET /packages"][0], during=log_out)
    result = run("list")
    assert result.exit_code == 1
    assert "the session was logged out meanwhile" in result.stderr


def test_who_cannot_write_does_not_refresh(run: Run, service: Service, person: Path) -> None:
    credentials.save(service.url, STALE)
    person.with_suffix(".lock").unlink()
    person.with_suffix(".lock").mkdir()
    assert "cannot lock" in run("list").stderr
    assert service.asked == []


def test_ten_commands_at_once_keep_the_session(service: Service, program: Callable[..., subprocess.Popen[str]]) -> None:
    credentials.save(service.url, STALE)
    once(service)
    started = [program("list") for _ in range(10)]
    assert [process.communicate(timeout=60)[1] for process in started] == [""] * 10
    assert [process.returncode for process in started] == [0] * 10
    assert [what for what, _ in asked(service)].count("POST /auth/refresh") == 1
    assert credentials.load(service.url) == FRESH


def once(service: Service) -> None:
    """A refresh token works once; slowly, so that the others are there before the answer."""
    answer, used = service.answer, threading.Event()

    def strict(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.endswith("/auth/refresh"):
            if used.is_set():
                service.script["POST /auth/refresh"].clear()
                service.problem("POST /auth/refresh", 401, "came a second time", code="token_revoked")
            used.set()
            threading.Event().wait(0.7)
        answer(handler)

    service.on("POST /auth/refresh", GRANT)
    service.__dict__["answer"] = strict


def test_two_that_save_at_once_lose_nothing(person: Path) -> None:
    def save(number: int) -> None:
        credentials.save(f"http://{number}", Saved(str(number)))

    threads = [threading.Thread(target=save, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(json.loads(person.read_text())["servers"]) == 20


def test_a_lock_that_is_held_for_long_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(locking, "PATIENCE", 0.05)
    with locking.locked(tmp_path / "lock"), pytest.raises(Refused, match="another pkgctl has held"), locking.locked(tmp_path / "lock"):
        pass


def test_a_file_system_without_locks_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def none(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(Refused, match="No locks available"), locking.locked(tmp_path / "lock"):
        pass


def test_secrets_never_show_in_a_repr() -> None:
    assert not [secret for secret in (ACCESS, REFRESH) if secret in repr(FRESH)]
