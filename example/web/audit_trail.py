"""What the audit says of a request: one entry each, in the change's own transaction or in the queue. Pure ASGI around the gate.

Every request leaves one that shows a credential or meets a rule; anonymous looks at public pages leave none, nor does who is nobody and is
refused for coming too often.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from sqlalchemy.orm import Session
from starlette.types import ASGIApp, Receive, Scope, Send

from example.audit.entries import Entry, append
from example.errors import Unauthenticated
from example.identity.actor import Actor
from example.web.services import services_of

REFUSED = frozenset({401, 403, 429})
PREFIX = "/api/v1/"


@dataclass
class Trail:
    """What is known so far of a request: ``status`` and ``reason`` of its answer, ``facts`` that a handler knows better, and whether its
    entry is committed.
    """

    status: int = 500
    reason: str | None = None
    recorded: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


class AuditTrail:
    """Gives each request its trail, and queues the entries that no transaction has taken."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        trail = state["trail"] = Trail()
        try:
            await self._app(scope, receive, send)
            trail.status = state["status"] or trail.status
        finally:
            if not trail.recorded and _counts(scope, trail):
                await services_of(scope).audit.put(_entry(scope, trail, trail.status))


def trail_of(scope: Scope) -> Trail:
    """The trail of a request."""
    trail: Trail = scope["state"]["trail"]
    return trail


def note(request: Request, **facts: Any) -> None:
    """Say what the entry of this request shall hold beside or instead of what the request itself tells: columns of the audit by name."""
    trail_of(request.scope).facts.update(facts)


def record(request: Request, session: Session, status: int) -> None:
    """Write the entry in the change's transaction, as its last statement; the caller marks the trail once that is committed."""
    session.flush()  # on PostgreSQL the chain's head is locked from here to the commit: everything else comes before
    append(session, services_of(request.scope).core.keys.audit[0], [_entry(request.scope, trail_of(request.scope), status)])


def _counts(scope: Scope, trail: Trail) -> bool:
    identity = scope["state"].get("identity")
    if trail.status == 429 and not isinstance(identity, Actor):
        return False  # or anybody could fill the database; the log has it
    rule = getattr(scope.get("route"), "rule", None)
    return type(identity) is not Unauthenticated or (rule is not None and not rule.open)


def _entry(scope: Scope, trail: Trail, status: int) -> Entry:
    identity, route = scope["state"].get("identity"), scope.get("route")
    rule = getattr(route, "rule", None)
    client = scope.get("client")
    told: dict[str, Any] = {
        "request_id": scope["state"].get("request_id"),
        "credential": "none",
        "ip": client[0] if client else None,
        "agent": _header(scope, b"user-agent"),
        "method": scope["method"],
        "route": getattr(route, "path", None),
        "action": getattr(route, "name", None) or "unknown",
        "resource": scope["path"].removeprefix(PREFIX),
        "decision": "denied" if status in REFUSED else "allowed",
        "reason": trail.reason,
        "required_scope": rule.scope.value if rule is not None and rule.scope is not None else None,
        "status": status,
    }
    if isinstance(identity, Actor):
        told |= {
            "workspace_id": identity.workspace_id,
            "user_id": identity.user_id,
            "username": identity.username,
            "credential": identity.credential,
            "token_id": identity.token_id,
            "token_prefix": identity.token_prefix,
            "scopes": " ".join(identity.token_scopes),
        }
    return Entry(**(told | trail.facts))


def _header(scope: Scope, wanted: bytes) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), None)
