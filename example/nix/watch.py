"""Follows one nix-build: cuts its standard error into lines, passes on what people want to see, and keeps what explains its end.

Owns the bounds: no line, tail or list grows with what a builder prints. Judging the end is failures.py's business.
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Protocol

from example.nix.events import (
    ERROR_LEVEL,
    INFO_LEVEL,
    BuildStarted,
    Event,
    LogLine,
    Message,
    Phase,
    Plain,
    Stopped,
    Totals,
    TotalsStarted,
    TransferStarted,
    WaitingForLock,
    parse,
)
from example.nix.resolution import Resolution, read_report

LONGEST_LINE = 1 << 20
LONGEST_KEPT = 4_000
LONGEST_TAIL_LINE = 500
TAIL_LINES = 20
KEPT_TAILS = 16
KEPT_ERRORS = 20


class Listener(Protocol):
    """Who is told how the build goes."""

    def log(self, text: str) -> None:
        """One or more whole lines."""

    def progress(self, done: int, expected: int, phase: str) -> None:
        """How many builds and copies are done, of how many, and what is going on."""


class LineSplitter:
    """Bytes into lines, of which none is longer than ``limit`` bytes: of a longer one only a note is left."""

    def __init__(self, limit: int = LONGEST_LINE) -> None:
        self.limit = limit
        self._pending = bytearray()
        self._dropped = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that ``chunk`` completes."""
        *complete, rest = chunk.split(b"\n")
        for piece in complete:
            self._add(piece)
            yield self._take()
        self._add(rest)

    def end(self) -> Iterator[bytes]:
        """What is left without a line break, if anything."""
        if self._pending or self._dropped:
            yield self._take()

    def _add(self, piece: bytes) -> None:
        if self._dropped or len(self._pending) + len(piece) > self.limit:
            self._dropped += len(self._pending) + len(piece)
            self._pending.clear()
        else:
            self._pending += piece

    def _take(self) -> bytes:
        line = f"(a line of {self._dropped} bytes was left out)".encode() if self._dropped else bytes(self._pending)
        self._pending.clear()
        self._dropped = 0
        return line


class BuildWatch:
    """What one nix-build has said so far.

    ``resolution`` is what the resolver reported, ``errors`` Nix's error messages and ``plain`` lines that are not Nix's (each cut and
    only the last few kept), ``tail(derivation)`` the last lines of a builder. ``on_resolved`` is called when evaluation is over.
    """

    def __init__(self, marker: str, listener: Listener, on_resolved: Callable[[], None] = lambda: None) -> None:
        self.resolution = Resolution()
        self.errors: deque[str] = deque(maxlen=KEPT_ERRORS)
        self.plain: deque[str] = deque(maxlen=KEPT_ERRORS)
        self._prefix = f"trace: {marker} "
        self._listener = listener
        self._on_resolved = on_resolved
        self._splitter = LineSplitter()
        self._derivations: dict[int, str] = {}
        self._tails: OrderedDict[str, deque[str]] = OrderedDict()
        self._totals: dict[int, tuple[int, int]] = {}
        self._phase = "evaluating"

    def feed(self, chunk: bytes) -> None:
        """Take what standard error brought."""
        for line in self._splitter.feed(chunk):
            self._line(line)

    def end(self) -> None:
        """Standard error is at its end."""
        for line in self._splitter.end():
            self._line(line)

    def tail(self, derivation: str) -> tuple[str, ...]:
        """The last lines that the builder of ``derivation`` printed."""
        return tuple(self._tails.get(derivation, ()))

    def _line(self, line: bytes) -> None:
        event = parse(line)
        if event is not None:
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case LogLine(activity, text):
                self._log_line(activity, text)
            case Totals(activity, done, expected, _, _) if activity in self._totals:
                self._totals[activity] = (done, expected)
                self._progress()
            case TotalsStarted(activity):
                self._totals[activity] = (0, 0)
            case Phase(activity, phase):
                self._progress(f"building {self._name(activity)}: {phase}")
            case BuildStarted(activity, derivation):
                self._build_started(activity, derivation)
            case TransferStarted(_, text) | WaitingForLock(_, text):
                self._listener.log(f"{text}\n")
                self._progress(text)
            case Stopped(activity):
                self._derivations.pop(activity, None)
            case Message(level, text):
                self._message(level, text)
            case Plain(text):
                self.plain.append(text[:LONGEST_KEPT])
                self._listener.log(f"{text}\n")

    def _build_started(self, activity: int, derivation: str) -> None:
        self._derivations[activity] = derivation
        self._tails[derivation] = deque(maxlen=TAIL_LINES)
        if len(self._tails) > KEPT_TAILS:
            self._tails.popitem(last=False)
        self._listener.log(f"building {derivation}\n")
        self._progress(f"building {self._name(activity)}")

    def _log_line(self, activity: int, text: str) -> None:
        if (tail := self._tails.get(self._derivations.get(activity, ""))) is not None:
            tail.append(text[:LONGEST_TAIL_LINE])
        self._listener.log(f"{self._name(activity)}> {text}\n")

    def _message(self, level: int, text: str) -> None:
        if text.startswith(self._prefix):
            self._report(text.removeprefix(self._prefix))
            return
        if level == ERROR_LEVEL and not text.startswith("trace: "):
            self.errors.append(text[:LONGEST_KEPT])
        if level <= INFO_LEVEL:
            self._listener.log(f"{text}\n")

    def _report(self, text: str) -> None:
        try:
            self.resolution = read_report(self.resolution, json.loads(text))
        except ValueError:
            return
        if self.resolution.chosen or self.resolution.available is not None:
            self._on_resolved()
        if self.resolution.chosen:
            self._progress("building")

    def _progress(self, phase: str | None = None) -> None:
        self._phase = phase or self._phase
        done, expected = (sum(numbers) for numbers in zip((0, 0), *self._totals.values(), strict=True))
        self._listener.progress(done, expected, self._phase)

    def _name(self, activity: int) -> str:
        """``hello-2.1.0`` of ``/nix/store/…-hello-2.1.0.drv``."""
        return derivation_name(self._derivations.get(activity, "build"))


def derivation_name(derivation: str) -> str:
    """The name of a derivation without its folder, hash and ``.drv``."""
    return derivation.rpartition("/")[2].partition("-")[2].removesuffix(".drv") or derivation
