"""A terminal with a shell, and a person who types line by line: the next one when the shell is ready, an answer when something asks."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_READY = re.compile(r"\[exit (\d+)\] \Z")
_MORE = "[more] "
_DRAWING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal:
    """``shown`` is everything that stood on the screen, what was typed with echo included."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.shown = ""
        self._near, far = pty.openpty()
        termios.tcsetwinsize(far, (50, 200))
        prompts = {"PS1": r"[exit $?] ", "PS2": _MORE, "TERM": "dumb", "HISTFILE": ""}
        argv = ["setsid", "--ctty", "bash", "--norc", "--noprofile", "--noediting", "-i"]
        self._shell = subprocess.Popen(argv, cwd=folder, env={**env, **prompts}, stdin=far, stdout=far, stderr=far)
        os.close(far)
        self._reader = threading.Thread(target=self._read)  # all the time: a full terminal holds up what writes to it
        self._reader.start()
        self._wait(lambda new: _READY.search(new) is not None, 0, 10)

    def type(self, line: str, answers: Mapping[str, str] | None = None, *, until: str | None = None, seconds: float = 60) -> str:
        """Type a line; type the answer whenever a question stands there; what was shown, up to the next prompt or ``until``.

        What the line runs must succeed.
        """
        start = at = len(self.shown)
        self._write(line)
        questions = dict(answers or {})

        def stands(new: str) -> bool:
            return _question(new, questions) is not None or _is_prompt(new) or (until is not None and until in new)

        while True:
            self._wait(stands, at, seconds)
            new = self.shown[at:]
            if (question := _question(new, questions)) is None:
                break
            self._wait_for_silence()
            at = len(self.shown)
            self._write(questions[question])
        ready = _READY.search(new)
        assert ready is None or ready[1] == "0", self.shown[start:]
        return self.shown[start:]

    def leave(self) -> None:
        """Stop what runs, as Ctrl-C does, and close the shell."""
        try:
            self._write("\x03")
            self._wait(_is_prompt, len(self.shown), 20)
            self._write("exit 0")
            self._shell.wait(10)
        finally:
            if self._shell.poll() is None:
                os.killpg(self._shell.pid, signal.SIGKILL)
                self._shell.wait()
            self._reader.join(10)
            os.close(self._near)

    def _write(self, line: str) -> None:
        os.write(self._near, f"{line}\n".encode())

    def _wait(self, met: Callable[[str], bool], at: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not met(self.shown[at:]):
            assert time.monotonic() < deadline, f"the terminal waits for something:\n{self.shown}"
            assert self._reader.is_alive(), f"the shell is gone:\n{self.shown}"
            time.sleep(0.01)

    def _wait_for_silence(self) -> None:
        """A secret is typed once the echo is off."""
        deadline = time.monotonic() + 5
        while termios.tcgetattr(self._near)[3] & termios.ECHO:
            assert time.monotonic() < deadline, f"the answer could be read on the screen:\n{self.shown}"
            time.sleep(0.01)

    def _read(self) -> None:
        raw = b""
        while True:
            try:
                chunk = os.read(self._near, 65536)
            except OSError:  # Linux reports the closed far end as EIO
                return
            raw += chunk
            self.shown = _DRAWING.sub("", raw.decode(errors="replace"))


def _question(new: str, questions: Mapping[str, str]) -> str | None:
    return next((question for question in questions if new.endswith(f"\n{question}: ")), None)


def _is_prompt(new: str) -> bool:
    return _READY.search(new) is not None or new.endswith(f"\n{_MORE}")
