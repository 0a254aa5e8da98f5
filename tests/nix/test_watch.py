"""Following a build: what listeners are told, what is kept, and the bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from example.nix.resolution import Available, Chosen, Resolution, read_report
from example.nix.watch import KEPT_ERRORS, KEPT_TAILS, LONGEST_KEPT, TAIL_LINES, BuildWatch, LineSplitter, derivation_name
from tests.nixstore import Remembering, unhurried

DRV = "/nix/store/2vy5wp2z2agl6ra1zy11k9914aajpnbr-hello-2.1.0.drv"


def line(**said: Any) -> bytes:
    return b"@nix " + json.dumps(said).encode() + b"\n"


def message(text: str, level: int = 0) -> bytes:
    return line(action="msg", level=level, msg=text)


def report(**said: Any) -> bytes:
    return message(f"trace: MARK {json.dumps(said)}")


def watching() -> tuple[BuildWatch, Remembering, list[str]]:
    told, resolved = Remembering(), list[str]()
    return BuildWatch("MARK", told, lambda: resolved.append("resolved")), told, resolved


@unhurried
@given(st.lists(st.binary(max_size=30)))
def test_lines_are_the_same_however_the_bytes_come(chunks: list[bytes]) -> None:
    splitter = LineSplitter()
    lines = [found for chunk in chunks for found in splitter.feed(chunk)] + list(splitter.end())
    whole = b"".join(chunks).split(b"\n")
    assert lines == (whole if whole[-1] else whole[:-1])


def test_of_a_line_that_is_too_long_only_a_note_is_left() -> None:
    splitter = LineSplitter(limit=10)
    lines = [found for chunk in (b"short\n" + b"x" * 8, b"y" * 8, b"z\nnext", b"w" * 20) for found in splitter.feed(chunk)]
    assert lines == [b"short", b"(a line of 17 bytes was left out)"]
    assert list(splitter.end()) == [b"(a line of 24 bytes was left out)"]
    assert list(splitter.end()) == []


def test_builders_lines_are_logged_under_their_derivation_and_the_last_are_kept() -> None:
    watch, told, _ = watching()
    watch.feed(line(action="start", id=1, type=105, fields=[DRV]))
    for number in range(30):
        watch.feed(line(action="result", id=1, type=101, fields=[f"line {number}"]))
    watch.feed(line(action="stop", id=1))
    watch.feed(line(action="result", id=1, type=101, fields=["late"]))
    assert told.text.startswith(f"building {DRV}\nhello-2.1.0> line 0\n")
    assert told.text.endswith("build> late\n")
    assert watch.tail(DRV) == tuple(f"line {number}" for number in range(10, 30)) and TAIL_LINES == 20


def test_progress_adds_builds_and_copies_and_names_the_phase() -> None:
    watch, told, _ = watching()
    for known in (1, 2):
        watch.feed(line(action="start", id=known, type=102 + known))
    watch.feed(line(action="result", id=1, type=105, fields=[1, 4, 0, 0]) + line(action="result", id=2, type=105, fields=[2, 3, 0, 0]))
    watch.feed(line(action="result", id=9, type=105, fields=[7, 7, 7, 7]))
    assert told.steps[-1] == (3, 7, "evaluating")
    watch.feed(line(action="start", id=3, type=105, fields=[DRV]) + line(action="result", id=3, type=104, fields=["buildPhase"]))
    assert told.steps[-1] == (3, 7, "building hello-2.1.0: buildPhase")


def test_waiting_and_copying_are_said() -> None:
    watch, told, _ = watching()
    watch.feed(line(action="start", id=1, type=111, text="waiting for lock on x") + line(action="start", id=2, type=100, text="copying y"))
    assert told.text == "waiting for lock on x\ncopying y\n"
    assert told.steps[-1][2] == "copying y"


def test_only_errors_explain_and_detail_is_left_out() -> None:
    watch, told, _ = watching()
    watch.feed(message("error: bad") + message("trace: noise") + message("will be built", 3) + message("detail", 5))
    assert list(watch.errors) == ["error: bad"]
    assert told.text == "error: bad\ntrace: noise\nwill be built\n"


def test_what_is_kept_is_bounded() -> None:
    watch, _, _ = watching()
    for number in range(200):
        watch.feed(message(f"{number}" * 5_000) + b"plain\n" + line(action="start", id=number, type=105, fields=[f"/s/h-{number}.drv"]))
    watch.feed(b"last")
    watch.end()
    assert len(watch.errors) == len(watch.plain) == KEPT_ERRORS and max(map(len, watch.errors)) == LONGEST_KEPT
    assert watch.plain[-1] == "last"
    assert len(watch._tails) == KEPT_TAILS


def test_the_resolvers_reports_are_understood_under_the_marker_only() -> None:
    watch, told, resolved = watching()
    watch.feed(report(opening="demo") + report(matched="demo", attribute="hello") + message('trace: OTHER {"available": []}'))
    assert watch.resolution == Resolution(opening="demo", matched="hello") and resolved == []
    watch.feed(report(chosen="demo", attribute="hello", derivation=DRV, version="1", outputs=[{"name": "out", "path": "/p"}]))
    assert watch.resolution.chosen == Chosen("demo", "hello", DRV, ("/p",))
    assert resolved == ["resolved"] and "MARK" not in told.text


def test_available_versions_end_the_evaluation_too() -> None:
    watch, _, resolved = watching()
    watch.feed(report(available=[{"version": "1", "pin": "demo", "attribute": "hello"}]))
    assert watch.resolution.available == (Available("1", "demo", "hello"),) and resolved == ["resolved"]


def test_a_broken_report_is_passed_over() -> None:
    watch, _, _ = watching()
    watch.feed(message("trace: MARK {") + report(unknown=1))
    assert watch.resolution == Resolution()
    with pytest.raises(ValueError, match="not a report"):
        read_report(Resolution(), [])


def test_a_derivation_is_named_without_its_hash() -> None:
    assert derivation_name(DRV) == "hello-2.1.0"
    assert derivation_name("odd") == "odd"
