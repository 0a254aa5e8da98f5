"""The demo's shell: prints a command and then runs exactly that line, and shows what comes back.

Owns how requests and answers look. Where curl is missing the same request goes out through httpx.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

PATIENCE = 60.0  # seconds for any one thing
WIDTH = min(shutil.get_terminal_size((110, 24)).columns, 110)
PICK = """python3 -c 'import json, sys; print(json.load(sys.stdin)["{field}"])'"""


class DemoError(Exception):
    """Something is missing or not as expected; the text says what."""


COLOURED = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
BOLD, DIM, CYAN, RED = ("1", "2", "36", "31")


def paint(text: str, colour: str) -> str:
    """The text in a colour on a terminal, plain in a pipe."""
    return f"\033[{colour}m{text}\033[0m" if COLOURED else text


def say(text: str = "") -> None:
    """A line, at once."""
    print(text, flush=True)


def title(text: str) -> None:
    """The heading of a step."""
    say("\n" + paint(f"== {text}", BOLD))


def filled(value: Any) -> str:
    """JSON over as few lines as fit: an object's members side by side, a list's items one below the other."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[" + ",\n ".join(filled(item).replace("\n", "\n ") for item in value) + "]"
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    lines = [""]
    for name, member in value.items():
        text = f"{json.dumps(name)}: {json.dumps(member, ensure_ascii=False)}, "
        if lines[-1] and len(lines[-1]) + len(text) > WIDTH - 6:
            lines.append("")
        lines[-1] += text
    return "{" + "\n ".join(line.rstrip() for line in lines).rstrip(",") + "}"


def indented(text: str) -> str:
    """Output, set off from commands."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def check(holds: bool, otherwise: str) -> None:
    """Raises:
    DemoError: it does not hold.
    """
    if not holds:
        raise DemoError(otherwise)


@dataclass(frozen=True)
class Call:
    """One request. Paths and tokens name shell variables, as a user would type them."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    token: str | None = "TOKEN"  # noqa: S105  (the variable's name)
    stream: bool = False

    def curl(self) -> str:
        """The command, over two lines when one is too long."""
        head = ["curl", "-sN" if self.stream else "-s"]
        head += ["-X", self.method] if self.method != "GET" else []
        head.append(f'"$API{self.path}"' if "?" in self.path else f"$API{self.path}")
        head += ["-H", f'"Authorization: Bearer ${self.token}"'] if self.token else []
        if self.body is None:
            return " ".join(head)
        return f"{' '.join(head)} \\\n    -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(self.body))}"


@dataclass
class Shell:
    """Prints commands and runs them. ``env`` holds the variables that the commands name."""

    env: dict[str, str]
    curl: bool = field(default_factory=lambda: shutil.which("curl") is not None)

    def run(self, line: str) -> str:
        """A command; answers what it printed."""
        self.show(line)
        printed = self._sh(line)
        say(indented(printed.expandtabs(14)))
        return printed

    def send(self, call: Call) -> Any:
        """A request; answers its JSON, which is shown too."""
        self.show(call.curl())
        return self._answer(json.loads(self._body(call)))

    def until(self, call: Call, state: str, *, shown: bool = True) -> Any:
        """A request, again and again until the member ``state`` says that it has ended; the last answer is shown."""
        self.show(f"{call.curl()}    # again until it has ended" if shown else "# … until the job has ended")
        deadline = time.monotonic() + PATIENCE
        while (found := json.loads(self._body(call))).get(state) in ("queued", "running", "downloading"):
            check(time.monotonic() < deadline, f"{call.path} took longer than {PATIENCE:g} s: {found}")
            time.sleep(0.1)
        return self._answer(found) if shown else found

    def pick(self, call: Call, member: str) -> str:
        """A request of whose answer one member is wanted, as text."""
        self.show(f"{call.curl()} \\\n    | {PICK.format(field=member)}")
        text = str(json.loads(self._body(call))[member])
        say(indented(text))
        return text

    def keep(self, name: str, call: Call, member: str, shown: Callable[[str], str] = str) -> None:
        """Put one member of an answer into a variable."""
        self.show(f"{name}=$({call.curl()} \\\n    | {PICK.format(field=member)})")
        answer = json.loads(self._body(call))
        check(member in answer, f"{call.path} answered {answer}")
        self.env[name] = str(answer[member])
        say(indented(paint(f"{name} is {shown(self.env[name])}", DIM)))

    def let(self, name: str, value: str) -> None:
        """Set a variable; ``pkgctl`` sees it too."""
        self.show(f"export {name}={value}" if name.startswith("PKGCTL_") else f"{name}={value}")
        self.env[name] = string.Template(value).substitute(self.env)

    def follow(self, call: Call, meanwhile: Callable[[str], None]) -> None:
        """A request whose answer grows: each line is shown as it arrives, with the seconds since the start."""
        self.show(call.curl())
        started = time.monotonic()
        for line in self._lines(call):
            say(f"    {paint(f'{time.monotonic() - started:4.1f} s', DIM)}  {line}")
            meanwhile(line)

    def _lines(self, call: Call) -> Iterator[str]:
        if not self.curl:
            with httpx.stream(call.method, self._url(call), headers=self._headers(call), timeout=PATIENCE, trust_env=False) as answer:
                yield from answer.iter_lines()
            return
        argv = ["sh", "-c", call.curl()]
        with subprocess.Popen(argv, env=self.env, stdout=subprocess.PIPE, encoding="utf-8", errors="replace") as process:
            assert process.stdout is not None
            yield from (line.rstrip("\n") for line in process.stdout)

    def _body(self, call: Call) -> str:
        if self.curl:
            return self._sh(call.curl())
        return httpx.request(
            call.method, self._url(call), json=call.body, headers=self._headers(call), timeout=PATIENCE, trust_env=False
        ).text

    def _url(self, call: Call) -> str:
        return string.Template(f"$API{call.path}").substitute(self.env)

    def _headers(self, call: Call) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.env[call.token]}"} if call.token else {}

    def _sh(self, line: str) -> str:
        ended = subprocess.run(
            ["sh", "-c", line], env=self.env, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=PATIENCE
        )
        check(ended.returncode == 0, f"`{line}` ended with status {ended.returncode}: {ended.stderr.strip() or ended.stdout.strip()}")
        return ended.stdout

    def _answer(self, value: Any) -> Any:
        say(indented(filled(value)))
        return value

    def show(self, line: str) -> None:
        """A command, as it is typed."""
        say(paint("  $ ", DIM) + paint(line.replace("\n", "\n    "), CYAN))
