"""A start that fails says why in one line, where an operator can mend it. Pure ASGI, around the lifespan only."""

from __future__ import annotations

import sys

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from example.core import refusal


class PlainStart:
    """Replaces the traceback that the framework sends when the start fails."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        explained = False

        async def send_plainly(message: Message) -> None:
            nonlocal explained
            error = sys.exc_info()[1]  # the framework sends this from its except clause
            if message["type"] == "lifespan.startup.failed" and error is not None and (why := refusal(error)) is not None:
                message, explained = {**message, "message": f"can't start: {why}"}, True
            await send(message)

        try:
            await self._app(scope, receive, send_plainly)
        except Exception:
            if not explained:
                raise
