"""Requests straight into the ASGI app, without sockets and without an HTTP client: thousands a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import FastAPI

ADDRESS = "203.0.113.7"  # RFC 5737: nobody's, and not this machine

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    content: bytes

    @property
    def code(self) -> str | None:
        """The code of a problem (RFC 9457)."""
        return str(orjson.loads(self.content)["code"]) if self.status >= 400 and self.content else None


async def call(app: FastAPI, method: str, path: str, headers: Headers = (), body: Any = None) -> Answer:
    """One request from elsewhere, and its answer."""
    content = b"" if body is None else orjson.dumps(body)
    sent = [(b"host", b"packages.example"), *headers]
    if content:
        sent += [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": "", "raw_path": b"", "query_string": b"", "root_path": "", "headers": sent,
        "client": (ADDRESS, 40000), "server": ("packages.example", 80),
    }  # fmt: skip
    scope["path"], _, query = path.partition("?")
    scope["raw_path"], scope["query_string"] = path.encode(), query.encode()
    incoming = [{"type": "http.request", "body": content, "more_body": False}]
    status, pieces = 0, []

    async def receive() -> dict[str, Any]:
        return incoming.pop() if incoming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            pieces.append(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, b"".join(pieces))
