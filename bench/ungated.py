"""The service as it was before it wrote down and counted requests: token and access only. For reads (``bench.ungated:app``)."""

from __future__ import annotations

from typing import cast

from example.app import create_app
from example.config import Settings
from example.web.audit_trail import AuditTrail

_OFF = {f"rate_limit_{policy}": "" for policy in ("anonymous", "authenticated", "search", "login", "pat")}

app = create_app(Settings().model_copy(update=_OFF))
app.user_middleware = [middleware for middleware in app.user_middleware if cast(object, middleware.cls) is not AuditTrail]
