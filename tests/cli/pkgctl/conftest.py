"""Three ways to run pkgctl: in this process, as a program of its own, and on a terminal."""

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from example.cli.pkgctl.main import app, main

from .scripted import TOKEN, Service, serving

Run = Callable[..., Result]
Terminal = Callable[..., tuple[int, str]]


@pytest.fixture
def service() -> Iterator[Service]:
    """A server to ask."""
    with serving() as service:
        yield service


@pytest.fixture(autouse=True)
def person(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person with an empty config folder, who has named the server and a token in the environment. Returns the credentials file."""
    for name in ("API_KEY", "PKGCTL_WORKSPACE", "NO_COLOR", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PKGCTL_KEYRING", "off")
    monkeypatch.setenv("PKGCTL_URL", service.url)
    monkeypatch.setenv("PKGCTL_TOKEN", TOKEN)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path / "config" / "package-master" / "credentials.json"


@pytest.fixture
def run() -> Run:
    """Run pkgctl in this process, its output in a pipe."""

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    return invoke


@pytest.fixture
def program() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start pkgctl as a program of its own; none outlives its test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "example.cli.pkgctl.main", *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Run pkgctl in this process on a real pseudo-terminal; returns the exit code and what the terminal received."""

    def invoke(*arguments: str) -> tuple[int, str]:
        near, far = pty.openpty()
        received: list[bytes] = []

        def drain() -> None:
            try:
                while chunk := os.read(near, 65536):
                    received.append(chunk)
            except OSError:  # Linux reports the closed far end as EIO
                return

        reader = threading.Thread(target=drain)
        reader.start()
        with open(far, "w", encoding="utf-8") as screen, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", screen)
            patch.setattr(sys, "stderr", screen)
            patch.setattr(sys, "argv", ["pkgctl", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
        reader.join()
        os.close(near)
        return int(ended.value.code or 0), b"".join(received).decode().replace("\r\n", "\n")

    return invoke
