"""Secrets in the system's keyring where one works, in the file where none does; never a hang, never a crash."""

import builtins
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend

from example.cli.pkgctl import credentials, system_keyring
from example.cli.pkgctl.credentials import KEYRING, Saved
from example.cli.pkgctl.errors import Refused

from .accounts import ACCESS, PASSWORD, REFRESH, asked, open_to
from .conftest import Run
from .keyboard import pipe
from .scripted import Service

SAVED = Saved("kept-in-keyring", 3, expires_at="t", username="ada", workspace="team", by_login=True)


class Memory(KeyringBackend):
    """A keyring that works."""

    priority = 5

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[service, username]


class Locked(Memory):
    """A keyring that nobody unlocks."""

    def get_password(self, service: str, username: str) -> str | None:
        raise RuntimeError(f"locked; you gave me {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise RuntimeError(f"locked; you gave me {password}")


class Forgetful(Memory):
    """A keyring that takes everything and keeps nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        return


class Weak(Memory):
    """What the library has where nothing works."""

    priority = 0


class Silent(Memory):
    """A keyring that waits for somebody to type into a window that isn't there."""

    def set_password(self, service: str, username: str, password: str) -> None:
        threading.Event().wait()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[KeyringBackend], None]:
    """Make a keyring the system's."""
    monkeypatch.delenv("PKGCTL_KEYRING")
    monkeypatch.delenv("PKGCTL_TOKEN")

    def choose(backend: KeyringBackend) -> None:
        monkeypatch.setattr(keyring, "get_keyring", lambda: backend)

    return choose


@pytest.fixture
def memory(use: Callable[[KeyringBackend], None]) -> Memory:
    """A keyring that works."""
    backend = Memory()
    use(backend)
    return backend


def test_the_secret_is_in_the_keyring_and_not_in_the_file(memory: Memory, service: Service, person: Path) -> None:
    assert credentials.save(service.url, SAVED) == KEYRING
    assert "kept-in-keyring" not in person.read_text()
    assert json.loads(memory.held["package-master", service.url]) == {"token": "kept-in-keyring"}
    assert credentials.load(service.url) == SAVED
    assert credentials.place(service.url) == KEYRING


def test_a_session_is_kept_whole(memory: Memory, service: Service, person: Path) -> None:
    session = Saved(ACCESS, None, REFRESH, "t", "ada", "team")
    credentials.save(service.url, session)
    assert credentials.load(service.url) == session
    assert REFRESH not in person.read_text()


def test_commands_use_what_the_keyring_has(run: Run, memory: Memory, service: Service) -> None:
    credentials.save(service.url, SAVED)
    service.on("GET /packages", [])
    run("list")
    assert service.last().headers["authorization"] == "Bearer kept-in-keyring"


def test_logging_out_empties_it(run: Run, memory: Memory, service: Service) -> None:
    credentials.save(service.url, SAVED)
    service.on("DELETE /tokens/3", {})
    run("logout")
    assert memory.held == {}
    assert credentials.load(service.url) is None


def test_forgetting_what_the_keyring_lost_is_fine(memory: Memory, service: Service) -> None:
    credentials.save(service.url, SAVED)
    memory.held.clear()
    credentials.forget(service.url)
    assert credentials.load(service.url) is None


@pytest.mark.parametrize("lost", [None, "no json", "[1]"])
def test_what_the_keyring_lost_is_no_credential(memory: Memory, service: Service, lost: str | None) -> None:
    credentials.save(service.url, SAVED)
    memory.held.clear()
    if lost:
        memory.set_password("package-master", service.url, lost)
    assert credentials.load(service.url) is None


@pytest.mark.parametrize("backend", [Locked(), Forgetful(), Weak()])
def test_without_one_that_works_the_file_takes_it(
    use: Callable[[KeyringBackend], None], service: Service, person: Path, backend: KeyringBackend
) -> None:
    use(backend)
    assert credentials.save(service.url, SAVED) == str(person)
    assert credentials.load(service.url) == SAVED
    assert person.stat().st_mode & 0o777 == 0o600


def test_one_that_never_answers_is_given_up(
    use: Callable[[KeyringBackend], None], service: Service, person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_keyring, "PATIENCE", 0.05)
    use(Silent())
    assert credentials.save(service.url, SAVED) == str(person)


def test_a_keyring_that_stops_working_says_what_to_do_and_shows_no_secret(
    run: Run, use: Callable[[KeyringBackend], None], memory: Memory, service: Service
) -> None:
    credentials.save(service.url, SAVED)
    use(Locked())
    result = run("list")
    assert (result.exit_code, service.asked) == (1, [])
    assert f"the credential for {service.url} is in the system keyring: the system keyring refused (RuntimeError)" in result.stderr
    assert "Hint: run: pkgctl login, or set PKGCTL_TOKEN" in result.stderr
    assert "you gave me" not in result.output


def test_logging_in_again_needs_no_keyring(
    run: Run, use: Callable[[KeyringBackend], None], memory: Memory, service: Service, monkeypatch: pytest.MonkeyPatch, person: Path
) -> None:
    credentials.save(service.url, SAVED)
    use(Locked())
    pipe(monkeypatch, PASSWORD)
    open_to(service)
    assert f"saved in {person}" in run("login", "ada", "--password-stdin").stderr
    assert asked(service)[-1][0] == "POST /auth/logout"


def test_logging_out_without_the_keyring_says_what_remains(
    run: Run, use: Callable[[KeyringBackend], None], memory: Memory, service: Service
) -> None:
    credentials.save(service.url, SAVED)
    use(Locked())
    result = run("logout")
    assert result.exit_code == 1
    assert "may still be in the system keyring" in result.stderr
    assert credentials.load(service.url) is None


def test_switching_it_off_is_told_where_it_matters(
    run: Run, memory: Memory, service: Service, person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials.save(service.url, SAVED)
    monkeypatch.setenv("PKGCTL_KEYRING", "off")
    assert "PKGCTL_KEYRING is off" in run("list").stderr
    assert credentials.save(service.url, SAVED) == str(person)


def test_without_the_library_the_file_takes_it(memory: Memory, service: Service, person: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "keyring":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    assert credentials.save(service.url, SAVED) == str(person)


def test_a_token_in_the_file_needs_no_keyring(use: Callable[[KeyringBackend], None], service: Service) -> None:
    use(Weak())
    credentials.save(service.url, SAVED)
    use(Locked())
    assert credentials.load(service.url) == SAVED


def test_the_library_is_loaded_only_when_it_is_needed() -> None:
    code = "import sys, example.cli.pkgctl.main; print('keyring' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_machine_without_d_bus_just_uses_the_file(service: Service, person: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PKGCTL_KEYRING")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    code = f"from example.cli.pkgctl import credentials as c; print(c.save({service.url!r}, c.Saved('t')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == (f"{person}\n", "")


def test_a_refusal_of_the_keyring_carries_no_cause(memory: Memory, use: Callable[[KeyringBackend], None], service: Service) -> None:
    credentials.save(service.url, SAVED)
    use(Locked())
    with pytest.raises(Refused) as refused:
        credentials.load(service.url)
    assert refused.value.__suppress_context__
