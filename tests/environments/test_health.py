"""Health checks: what they may run and ask, and every way to fail."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from example.environments.health import HealthCheck, Unhealthy, run, validate
from example.errors import Invalid
from example.nix.runtime import NixMissing, NixRuntime
from tests.nixstore import eventually, make_settings, processes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An environment without programs."""
    (tmp_path / "bin").mkdir()
    return tmp_path


@pytest.fixture
def runtime(tmp_path: Path) -> NixRuntime:
    """What wraps commands."""
    return NixRuntime.of(make_settings(tmp_path / "data"))


def program(folder: Path, text: str, name: str = "check", mode: int = 0o755) -> HealthCheck:
    """A check that runs a program of this text."""
    path = folder / "bin" / name
    path.write_text(text)
    path.chmod(mode)
    return HealthCheck(command=(name, "one", "two words"), timeout_seconds=10)


def test_a_program_that_ends_well_is_healthy(folder: Path, runtime: NixRuntime) -> None:
    script = '#!/bin/sh\n[ "$1" = one ] && [ "$2" = "two words" ] && [ -w "$HOME" ] && [ "$PWD" = "$HOME" ] && command -v check\n'
    run(program(folder, script), folder, runtime.wrap)


def test_a_program_sees_nothing_of_the_services_environment(folder: Path, runtime: NixRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "hunter2")
    run(program(folder, '#!/bin/sh\n[ -z "$SECRET_KEY" ]\n'), folder, runtime.wrap)


def test_a_program_that_fails_is_quoted(folder: Path, runtime: NixRuntime) -> None:
    with pytest.raises(Unhealthy, match=r"^'check one two words' ended with status 3: the reason$"):
        run(program(folder, "#!/bin/sh\necho the reason >&2; exit 3\n"), folder, runtime.wrap)


def test_a_program_that_fails_in_silence_says_its_status(folder: Path, runtime: NixRuntime) -> None:
    with pytest.raises(Unhealthy, match="ended with status 4$"):
        run(program(folder, "#!/bin/sh\nexit 4\n"), folder, runtime.wrap)


def test_what_a_program_prints_is_quoted_up_to_a_limit(folder: Path, runtime: NixRuntime) -> None:
    with pytest.raises(Unhealthy) as caught:
        run(program(folder, "#!/bin/sh\nhead -c 100000 /dev/zero | tr '\\0' x; exit 1\n"), folder, runtime.wrap)
    assert str(caught.value).endswith("x" * 500) and "x" * 501 not in str(caught.value)


def test_a_program_that_hangs_is_stopped_with_all_it_started(folder: Path, runtime: NixRuntime) -> None:
    check = program(folder, "#!/bin/sh\nsetsid sleep 1234.5 & sleep 1234.5\n")
    started = time.monotonic()
    with pytest.raises(Unhealthy, match=r"did not end within 0\.5 seconds"):
        run(HealthCheck(check.command, timeout_seconds=0.5), folder, runtime.wrap)
    assert time.monotonic() - started < 5
    assert eventually(lambda: processes("1234.5") == [])


def test_a_program_that_leaves_something_running_takes_it_along(folder: Path, runtime: NixRuntime) -> None:
    run(program(folder, "#!/bin/sh\nsetsid sleep 1234.75 >/dev/null 2>&1 &\nexit 0\n"), folder, runtime.wrap)
    assert eventually(lambda: processes("1234.75") == [])


def test_a_program_that_is_not_there_is_answered_with_those_that_are(folder: Path, runtime: NixRuntime) -> None:
    program(folder, "", "hello")
    with pytest.raises(Unhealthy, match=r"there is no program 'helo' in it; there are: hello"):
        run(HealthCheck(command=("helo",)), folder, runtime.wrap)


def test_an_environment_without_programs_has_none(tmp_path: Path, runtime: NixRuntime) -> None:
    with pytest.raises(Unhealthy, match="there are: none"):
        run(HealthCheck(command=("hello",)), tmp_path, runtime.wrap)


def test_a_file_that_cannot_be_run_is_unhealthy(folder: Path, runtime: NixRuntime) -> None:
    (folder / "bin/folder").mkdir()
    for check in (program(folder, "no program", mode=0o644), HealthCheck(command=("folder",))):
        with pytest.raises(Unhealthy, match="could not be started: it is not an executable file"):
            run(check, folder, runtime.wrap)
    with pytest.raises(Unhealthy, match="ended with status"):
        run(program(folder, "\x7fELF and then nonsense", "broken"), folder, runtime.wrap)


def test_a_command_that_cannot_be_started_is_unhealthy(folder: Path) -> None:
    def missing(_: Sequence[str]) -> list[str]:
        raise NixMissing("unshare is not on PATH")

    for wrap in (missing, lambda _: ["/nowhere/at/all"]):
        with pytest.raises(Unhealthy, match="'check' could not be started: .*(unshare|nowhere)"):
            run(program(folder, ""), folder, wrap)


class Answers(BaseHTTPRequestHandler):
    """A service on this machine; the path says how it behaves."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/hangs":
            time.sleep(2)
        elif self.path == "/drips":
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(b"x")
                time.sleep(0.05)
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/ok")
            self.end_headers()
        else:
            late = self.path == "/late" and len(self.asked) < 3
            self.send_response(503 if late or self.path == "/broken" else 204)
            self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def web() -> Iterator[tuple[str, list[str]]]:
    """A web server: its address, and what it was asked."""
    handler = type("Handler", (Answers,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", handler.asked  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


def ask(url: str, seconds: float = 1) -> None:
    """Run a check of this address."""
    check = HealthCheck(url=url, timeout_seconds=seconds)
    validate(check)
    run(check, Path("/nowhere"), list)


@pytest.mark.parametrize("path", ["/ok", "/drips"])
def test_an_answer_of_2xx_is_healthy_whatever_its_body(web: tuple[str, list[str]], path: str) -> None:
    ask(web[0] + path)


def test_a_service_that_takes_a_moment_is_asked_again(web: tuple[str, list[str]]) -> None:
    ask(f"{web[0]}/late", 10)
    assert len(web[1]) == 3


@pytest.mark.parametrize(("path", "said"), [("/broken", "status 503"), ("/moved", "status 302"), ("/hangs", "no answer")])
def test_other_answers_and_none_are_unhealthy(web: tuple[str, list[str]], path: str, said: str) -> None:
    started = time.monotonic()
    with pytest.raises(Unhealthy, match=f"did not answer 2xx within 0.5 seconds: {said}"):
        ask(web[0] + path, 0.5)
    assert time.monotonic() - started < 3
    assert "/ok" not in web[1], "a redirect was followed"


def test_where_nobody_listens_is_unhealthy() -> None:
    with pytest.raises(Unhealthy, match="http://127.0.0.1:1/ did not answer 2xx within 0.3 seconds: .*(refused|failed)"):
        ask("http://127.0.0.1:1/", 0.3)


def test_proxies_of_the_environment_are_not_asked(web: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    ask(f"{web[0]}/ok")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/", "https://127.0.0.1/", "http://user@127.0.0.1/", "http://169.254.169.254/", "ftp://127.0.0.1/", "http://127.0.0.1:x/",
        "http://127.0.0.1.example.org/", "http://0.0.0.0/", "file:///etc/passwd", "", "http://", "http://127.0.0.1:99999/", "http://[::1",
        "http://127.0.0.1/\x7f\n",
    ],
)  # fmt: skip
def test_an_address_that_is_not_plain_http_on_this_machine_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="not an http address on this machine"):
        validate(HealthCheck(url=url))


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/health?x=1", "http://localhost/", "http://[::1]:80/", "http://127.8.9.10/"])
def test_an_address_on_this_machine_is_taken(url: str) -> None:
    validate(HealthCheck(url=url))


@pytest.mark.parametrize("word", ["/bin/sh", "../sh", "", "-c", "a b", ".hidden", "x" * 101, "a\0b", "a/b"])
def test_a_command_is_a_program_of_the_environment(word: str) -> None:
    with pytest.raises(Invalid, match="name of a program"):
        validate(HealthCheck(command=(word,)))


@pytest.mark.parametrize("check", [HealthCheck(), HealthCheck(command=("a",), url="http://localhost/")])
def test_a_check_is_either_of_the_two(check: HealthCheck) -> None:
    with pytest.raises(Invalid, match="either command or url"):
        validate(check)


def test_an_empty_command_is_refused() -> None:
    with pytest.raises(Invalid, match="name of a program"):
        validate(HealthCheck(command=()))


def test_a_home_that_cannot_be_cleaned_is_no_failure(folder: Path, runtime: NixRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    check = program(folder, "#!/bin/sh\ntouch $HOME/left\n")
    really = os.unlink

    def refuses(path: str, *, dir_fd: int | None = None) -> None:
        if path.endswith("left"):
            raise PermissionError(path)
        really(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuses)
    run(check, folder, runtime.wrap)
