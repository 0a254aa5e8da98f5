"""The service as it was before it wrote down and counted requests: token and access only. For reads (``bench.ungated:app``)."""

from __future__ import annotations

from typing import cast

from starlette.types import ASGIApp, Receive, Scope, Send

from example.app import create_app
from example.config import Settings
from example.web.audit_trail import AuditTrail, Trail

_OFF = {f"rate_limit_{policy}": "" for policy in ("anonymous", "authenticated", "search", "login", "pat")}


class Forgetful:
    """Gives each request its trail, and writes nothing down."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["trail"] = Trail()
        await self._app(scope, receive, send)


app = create_app(Settings().model_copy(update=_OFF))
app.user_middleware = [middleware for middleware in app.user_middleware if cast(object, middleware.cls) is not AuditTrail]
app.add_middleware(Forgetful)
