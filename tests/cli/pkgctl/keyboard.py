"""A person at a terminal, who waits for a question, then types the answer, and sees what the terminal shows; and one who uses a pipe."""

import os
import pty
import select
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner


@dataclass(frozen=True)
class Sat:
    """How it ended, and everything that the terminal showed."""

    code: int
    seen: str


def sit(*arguments: str, answers: tuple[tuple[str, str], ...] = (), seconds: float = 30) -> Sat:
    """Run pkgctl with a terminal of its own; type each answer, and Enter, once its question stands there."""
    near, far = pty.openpty()
    command = ["setsid", "--ctty", "--wait", sys.executable, "-m", "example.cli.pkgctl.main", *arguments]
    process = subprocess.Popen(command, stdin=far, stdout=far, stderr=far)
    os.close(far)
    seen, waiting, deadline = "", list(answers), time.monotonic() + seconds
    unread = ""
    try:
        while chunk := _read(near, deadline):
            seen, unread = seen + chunk, unread + chunk
            if waiting and waiting[0][0] in unread:
                _, answer = waiting.pop(0)
                unread = ""
                time.sleep(0.05)  # the question is there a moment before the echo is off
                os.write(near, f"{answer}\n".encode())
        return Sat(process.wait(10), seen.replace("\r\n", "\n"))
    finally:
        process.kill()
        process.wait()
        os.close(near)


def _read(near: int, deadline: float) -> str:
    ready, _, _ = select.select([near], [], [], max(0.0, deadline - time.monotonic()))
    assert ready, "pkgctl waits for something"
    try:
        return os.read(near, 65536).decode()
    except OSError:  # Linux reports the closed far end as EIO
        return ""


def pipe(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Standard input of the commands that run in this process from here on."""
    invoke = CliRunner.invoke
    monkeypatch.setattr(CliRunner, "invoke", lambda self, app, args: invoke(self, app, args, input=text))
