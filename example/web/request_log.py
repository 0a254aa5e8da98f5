"""One log line a request, a request id that also comes back as a header, and an answer to what nobody foresaw. Pure ASGI, outermost."""

from __future__ import annotations

import re
import time
import uuid

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from example.identity.actor import Actor
from example.log import write_request
from example.web.errors import on_unexpected

HEADER = b"x-request-id"
_USABLE_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")


class RequestLog:
    """Logs method, path, route, status, milliseconds and the token's prefix; never a header, a query string or a body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given_id(scope) or uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state["request_id"], state["status"] = request_id, 0
        started, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = state["status"] = message["status"]
                message["headers"] = [*message.get("headers", ()), (HEADER, request_id.encode()), *state.get("headers", ())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            if status:  # too late for another answer: the server closes the connection
                raise
            answer = await on_unexpected(Request(scope), error)
            await answer(scope, receive, send_with_id)
        finally:
            _write_line(scope, request_id, status, time.perf_counter() - started)


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == HEADER and _USABLE_ID.fullmatch(value) and b"pm_" not in value:  # it is logged: never take a token for one
            given: bytes = value
            return given.decode()
    return None


def _write_line(scope: Scope, request_id: str, status: int, seconds: float) -> None:
    identity = scope["state"].get("identity")
    client = scope.get("client")
    write_request(
        request_id=request_id,
        method=scope["method"],
        path=scope["path"],
        status=status or 500,
        ms=round(seconds * 1000, 1),
        client=client[0] if client else None,
        token=identity.token_prefix if isinstance(identity, Actor) else None,
    )
