"""The internal-json lines of Nix, as events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from example.nix import events
from example.nix.events import clean, parse
from tests.nixstore import unhurried


def line(**said: Any) -> bytes:
    return b"@nix " + json.dumps(said).encode()


DRV = "/nix/store/2vy5wp2z2agl6ra1zy11k9914aajpnbr-hello-2.1.0.drv"
BIG = 2**53 + 1


@pytest.mark.parametrize(
    ("said", "event"),
    [
        ({"action": "msg", "level": 0, "msg": "\x1b[31;1merror:\x1b[0m no"}, events.Message(0, "error: no")),
        ({"action": "start", "id": BIG, "type": 105, "fields": [DRV, "", 1, 1], "text": "building"}, events.BuildStarted(BIG, DRV)),
        ({"action": "start", "id": 1, "type": 104, "text": ""}, events.TotalsStarted(1)),
        ({"action": "start", "id": 1, "type": 103, "text": ""}, events.TotalsStarted(1)),
        ({"action": "start", "id": 1, "type": 111, "text": "waiting for lock"}, events.WaitingForLock(1, "waiting for lock")),
        ({"action": "start", "id": 1, "type": 100, "text": "copying path"}, events.TransferStarted(1, "copying path")),
        ({"action": "start", "id": 1, "type": 101, "text": "downloading"}, events.TransferStarted(1, "downloading")),
        ({"action": "stop", "id": 1}, events.Stopped(1)),
        ({"action": "result", "id": 1, "type": 101, "fields": ["10%\r100%"]}, events.LogLine(1, "100%")),
        ({"action": "result", "id": 1, "type": 101, "fields": [""]}, events.LogLine(1, "")),
        ({"action": "result", "id": 1, "type": 107, "fields": ["hook"]}, events.LogLine(1, "hook")),
        ({"action": "result", "id": 1, "type": 104, "fields": ["buildPhase"]}, events.Phase(1, "buildPhase")),
        ({"action": "result", "id": 1, "type": 105, "fields": [1, 2, 1, 0]}, events.Totals(1, 1, 2, 1, 0)),
    ],
)
def test_each_kind_of_line_is_its_event(said: dict[str, Any], event: events.Event) -> None:
    assert parse(line(**said)) == event


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"@nix ",
        b"@nix {",
        b"@nix []",
        b"@nix {}",
        b"@nix " + b"[" * 100_000,
        line(action="later"),
        line(action="msg", level="0", msg="x"),
        line(action="msg", level=0),
        line(action="start", type=105),
        line(action="start", id=1, type=105),
        line(action="start", id=1, type=4711, text="new"),
        line(action="start", id=1, type=100),
        line(action="stop"),
        line(action="stop", id=True),
        line(action="stop", id=-1),
        line(action="result", type=101),
        line(action="result", id=1, type=101),
        line(action="result", id=1, type=101, fields=[1]),
        line(action="result", id=1, type=104, fields=[]),
        line(action="result", id=1, type=105, fields=[1, 2, 3]),
        line(action="result", id=1, type=4711, fields=["new"]),
        line(action="result", id=1, type=101, fields={"0": "x"}),
    ],
)
def test_what_is_unknown_or_broken_is_no_event(raw: bytes) -> None:
    assert parse(raw) is None


def test_a_line_of_another_program_is_plain() -> None:
    assert parse(b"unshare: unshare failed: Operation not permitted\n") == events.Plain("unshare: unshare failed: Operation not permitted")


@unhurried
@given(st.binary(), st.booleans())
def test_no_bytes_raise(raw: bytes, prefixed: bool) -> None:
    parse(events.PREFIX + raw if prefixed else raw)


JSON = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.lists(st.integers(-2, 9) | st.text(max_size=3), max_size=5)
)


@unhurried
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "action": st.sampled_from(["msg", "start", "stop", "result"]) | JSON,
            "id": JSON,
            "type": st.integers(100, 112) | JSON,
            "fields": JSON,
            "text": JSON,
            "level": JSON,
            "msg": JSON,
        },
    )
)
def test_no_json_raises(said: dict[str, Any]) -> None:
    parse(line(**said))


@unhurried
@given(st.text(st.characters(exclude_categories=[])))
def test_cleaned_text_is_plain_and_can_be_stored(text: str) -> None:
    cleaned = clean(text)
    assert "\x00" not in cleaned and "\x1b" not in cleaned and "\r" not in cleaned
    cleaned.encode("utf-8")


def test_escapes_go_and_words_stay() -> None:
    assert clean("\x1b[1;31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x1b(B\ttab\x00\ud800") == "red link\ttab?"


def test_of_an_overwritten_line_the_last_state_stays() -> None:
    assert clean("1%\r50%\r\nnext\r\n") == "50%\nnext"
