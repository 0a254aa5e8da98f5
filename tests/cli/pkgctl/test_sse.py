"""Server-sent events, as the WHATWG standard has them."""

import pytest

from example.cli.pkgctl.sse import Event, events

STREAM = "\ufeffid: 7\nevent: log\ndata: one\ndata:two\n\n: comment\n\nretry: 250\r\ndata\r\n\r\ndata: \u2028x\x0cy\rid\r\rdata: cut off"
PARSED = [Event("log", "one\ntwo", "7", None), Event("message", "", "7", 250), Event("message", "\u2028x\x0cy", "", 250)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_events_are_the_same_however_the_stream_is_cut(size: int) -> None:
    assert list(events(STREAM[start : start + size] for start in range(0, len(STREAM), size))) == PARSED


def test_an_event_without_data_is_none() -> None:
    assert list(events(["event: end\n\ndata: x\n\n"])) == [Event("message", "x")]


@pytest.mark.parametrize("line", ["id: a\0b", "retry: soon", "retry: ²", "unknown: x"])
def test_a_field_that_makes_no_sense_is_ignored(line: str) -> None:
    assert list(events([f"{line}\ndata: x\n\n"])) == [Event("message", "x")]


def test_a_stream_that_goes_on_keeps_the_id_and_the_wait() -> None:
    assert list(events(["data: x\n\n"], Event("log", "", "9", 10))) == [Event("message", "x", "9", 10)]


def test_empty_chunks_change_nothing() -> None:
    assert list(events(["", "data: x\n", "", "\n"])) == [Event("message", "x")]
