"""Server-sent events (WHATWG HTML, section 9.2): text in, events out. Knows nothing of HTTP or jobs.

Lines end with CR, LF or CRLF and nothing else. `str.splitlines`, which httpx uses, also splits at U+2028, form feeds and more,
and would tear a log line apart, so the splitting stands here.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class Event:
    """One event. `last_id`: the id to resume after. `retry`: the wait in milliseconds that the server has asked for so far."""

    kind: str
    data: str
    last_id: str | None = None
    retry: int | None = None


def events(chunks: Iterable[str], after: Event | None = None) -> Iterator[Event]:
    """Parse a stream that goes on `after` the last event of the one before.

    An event that the end of the stream cuts off is dropped, as the standard asks: it comes again.
    """
    kind, data = "", list[str]()
    last_id, retry = (after.last_id, after.retry) if after else (None, None)
    for line in _lines(chunks):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Event(kind or "message", "\n".join(data), last_id, retry)
            kind, data = "", []
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id" and "\0" not in value:
            last_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            retry = int(value)


def _lines(chunks: Iterable[str]) -> Iterator[str]:
    rest = ""
    first = True
    for chunk in chunks:
        text = rest + (chunk.removeprefix("\ufeff") if first else chunk)
        first = first and not chunk
        # A CR at the end may be half of a CRLF: it waits for the next chunk.
        held = "\r" if text.endswith("\r") else ""
        *whole, rest = _LINE_END.split(text.removesuffix(held))
        rest += held
        yield from whole
