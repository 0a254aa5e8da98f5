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
from example.identity.actor import Actor
from example.identity.roles import ACCOUNT_FAMILIES
from example.identity.scopes import family
from example.web.services import services_of

REFUSED = frozenset({401, 403, 429})
PREFIX = "/api/v1/"


@dataclass
class Trail:
    """What is known so far of a request: ``status`` and ``reason`` of its answer, ``facts`` that a handler knows better, whether it was
    counted, and whether its entry is committed.
    """

    status: int = 500
    reason: str | None = None
    counted: bool = False
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
    """Of who is nobody only what the limits count: or anybody could fill the database. The log has everything."""
    return isinstance(scope["state"].get("identity"), Actor) or (trail.counted and trail.status != 429)


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
    known = identity if isinstance(identity, Actor) else getattr(identity, "actor", None)  # proven, and refused nevertheless
    if known is not None:
        told |= {
            "workspace_id": known.workspace_id if _is_of_the_workspace(known, rule) else None,
            "user_id": known.user_id,
            "username": known.username,
            "credential": known.credential,
            "token_id": known.token_id,
            "token_prefix": known.token_prefix,
            "scopes": " ".join(known.token_scopes),
        }
        told["decision"] = "denied" if known is not identity else told["decision"]
    return Entry(**(told | trail.facts))


def _is_of_the_workspace(actor: Actor, rule: Any) -> bool:
    """Whether its members may read of it: not what strangers do, nor what is about accounts."""
    scope = rule.scope if rule is not None else None
    return actor.role is not None and (scope is None or family(scope) not in ACCOUNT_FAMILIES)


def _header(scope: Scope, wanted: bytes) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), None)
