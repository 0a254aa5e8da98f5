"""What Nix says while it works: one line of ``--log-format internal-json`` into one event.

Pure and forgiving: unknown types, newer fields and plain text give fewer events, never an error. The numbers are those of Nix's
``libutil/logging.hh``; ids are 64 bit.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

PREFIX = b"@nix "
ERROR_LEVEL, INFO_LEVEL = 0, 3

_COPY_PATH, _FILE_TRANSFER, _COPY_PATHS, _BUILDS, _BUILD, _WAITS_FOR_LOCK = 100, 101, 103, 104, 105, 111
_LOG_LINE, _SET_PHASE, _PROGRESS, _POST_BUILD_LOG_LINE = 101, 104, 105, 107
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Message:
    """Something for the reader. ``level`` as in Nix: 0 error, 1 warning, 2 notice, 3 information, more is detail."""

    level: int
    text: str


@dataclass(frozen=True)
class Plain:
    """A line that is not Nix's: of the wrapper, or of a program that it ran."""

    text: str


@dataclass(frozen=True)
class BuildStarted:
    """A builder runs for ``derivation`` (a store path); what follows refers to ``activity``."""

    activity: int
    derivation: str


@dataclass(frozen=True)
class TransferStarted:
    """A path or file is on its way from a cache; ``text`` says which."""

    activity: int
    text: str


@dataclass(frozen=True)
class TotalsStarted:
    """``Totals`` with this ``activity`` will count builds or copies."""

    activity: int


@dataclass(frozen=True)
class WaitingForLock:
    """Another process builds the same thing; ``text`` says what."""

    activity: int
    text: str


@dataclass(frozen=True)
class Stopped:
    """The activity is over."""

    activity: int


@dataclass(frozen=True)
class LogLine:
    """One line that a builder printed."""

    activity: int
    text: str


@dataclass(frozen=True)
class Phase:
    """A builder entered a phase (``unpackPhase``, ``buildPhase``, …)."""

    activity: int
    phase: str


@dataclass(frozen=True)
class Totals:
    """How many pieces there are and how far they are."""

    activity: int
    done: int
    expected: int
    running: int
    failed: int


Event = Message | Plain | BuildStarted | TransferStarted | TotalsStarted | WaitingForLock | Stopped | LogLine | Phase | Totals


def parse(line: bytes) -> Event | None:
    """The event of one line of standard error (with or without its line break), or ``None`` for what is of no interest."""
    if not line.startswith(PREFIX):
        text = clean(line.decode("utf-8", "replace"))
        return Plain(text) if text else None
    try:
        said = json.loads(line[len(PREFIX) :])
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    match said.get("action"):
        case "msg":
            return _message(said)
        case "start":
            return _start(said)
        case "stop":
            return Stopped(activity) if (activity := _number(said.get("id"))) is not None else None
        case "result":
            return _result(said)
    return None


def clean(text: str) -> str:
    """``text`` without terminal escapes, control characters and lone surrogates; of an overwritten line (``\\r``) the last state."""
    text = _ESCAPES.sub("", text).rstrip("\r\n")
    if "\r" in text:
        text = "\n".join(next((part for part in reversed(row.split("\r")) if part), "") for row in text.split("\n"))
    return _CONTROLS.sub("", text).encode("utf-8", "replace").decode("utf-8")


def _message(said: dict[str, Any]) -> Message | None:
    level, text = _number(said.get("level")), said.get("msg")
    return Message(level, clean(text)) if level is not None and isinstance(text, str) else None


def _start(said: dict[str, Any]) -> Event | None:
    activity, kind, text = _number(said.get("id")), said.get("type"), _text(said.get("text"))
    if activity is None:
        return None
    if kind == _BUILD:
        derivation = _text(_field(said, 0))
        return BuildStarted(activity, derivation) if derivation else None
    if kind in (_BUILDS, _COPY_PATHS):
        return TotalsStarted(activity)
    if kind == _WAITS_FOR_LOCK:
        return WaitingForLock(activity, text)
    if kind in (_COPY_PATH, _FILE_TRANSFER) and text:
        return TransferStarted(activity, text)
    return None


def _result(said: dict[str, Any]) -> Event | None:
    activity, kind = _number(said.get("id")), said.get("type")
    if activity is None:
        return None
    if kind in (_LOG_LINE, _POST_BUILD_LOG_LINE) and isinstance(_field(said, 0), str):
        return LogLine(activity, _text(_field(said, 0)))
    if kind == _SET_PHASE and (phase := _text(_field(said, 0))):
        return Phase(activity, phase)
    if kind == _PROGRESS:
        counts = [_number(_field(said, index)) for index in range(4)]
        done, expected, running, failed = counts
        if done is not None and expected is not None and running is not None and failed is not None:
            return Totals(activity, done, expected, running, failed)
    return None


def _field(said: dict[str, Any], index: int) -> object:
    fields = said.get("fields")
    return fields[index] if isinstance(fields, list) and index < len(fields) else None


def _number(value: object) -> int | None:
    """A count or an id; ``True`` and negative numbers are neither."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text(value: object) -> str:
    return clean(value) if isinstance(value, str) else ""
