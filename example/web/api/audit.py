"""Operations on the audit: read it, export it, and the entries of one token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import islice
from typing import Annotated, Any, Literal

import orjson
from fastapi import Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field
from sqlalchemy.orm import Session

from example.audit import reading
from example.audit.reading import AuditFilter, EntryView
from example.errors import ResourceNotInToken
from example.identity import issuing
from example.identity.actor import Actor, insufficient_role
from example.identity.scopes import Scope
from example.web import calls
from example.web.calls import render
from example.web.documentation import GUARDED, answers
from example.web.parameters import LIST_HEADERS, Before, Id, Limit, Moment, TokenId
from example.web.routing import actor_of, requires, router
from example.web.services import services

routes = router("audit")
CHUNK = 1000
"""Entries that one step of an export reads and writes."""
NDJSON = "application/x-ndjson"
NEWEST_HEADERS = {"headers": {"Link": LIST_HEADERS["headers"]["Link"]}}

EXAMPLE: dict[str, Any] = {
    "seq": 4711,
    "at": "2026-11-21T12:00:00Z",
    "request_id": "5f0c7f6f7f0a4f0d9a3a0c1f2b3d4e5f",
    "workspace_id": 1,
    "user_id": 1,
    "username": "alice",
    "credential": "pat",
    "token_id": 1,
    "token_prefix": "pm_pat_5xKq0Vb1",
    "scopes": ["packages:publish"],
    "ip": "192.0.2.7",
    "agent": "pkgctl/1.0",
    "method": "DELETE",
    "route": "/api/v1/package/{package_id}",
    "action": "delete_package",
    "resource": "package/7",
    "decision": "denied",
    "reason": "insufficient_scope",
    "required_scope": "packages:delete",
    "status": 403,
    "detail": None,
    "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}

_Text = Field(max_length=200, pattern=r"^[^\x00]*$")


def _filters(
    user: Annotated[str | None, _Text, Query(description="Only of this user name")] = None,
    token_id: Annotated[Id | None, Query(description="Only with this token")] = None,
    action: Annotated[str | None, _Text, Query(description="Only of this operation", examples=["delete_package"])] = None,
    resource: Annotated[str | None, _Text, Query(description="Only on this resource", examples=["package/7"])] = None,
    decision: Annotated[Literal["allowed", "denied"] | None, Query(description="Only these")] = None,
    since: Annotated[Moment | None, Query(description="Only from this moment on (RFC 3339)", examples=["2026-11-21T00:00:00Z"])] = None,
    until: Annotated[Moment | None, Query(description="Only before this moment (RFC 3339)", examples=["2026-11-22T00:00:00Z"])] = None,
) -> AuditFilter:
    """The filters of a request, as the domain takes them."""
    return AuditFilter(user=user, token_id=token_id, action=action, resource=resource, decision=decision, since=since, until=until)


Filters = Annotated[AuditFilter, Depends(_filters)]
Everything = Annotated[bool, Query(alias="all", description="Of every workspace, and what belongs to none: for instance administrators")]


@routes.get(
    "/audit", summary="Read the audit", response_model=list[EntryView], responses=answers([EXAMPLE], *GUARDED, 422, more=NEWEST_HEADERS)
)
@requires(Scope.AUDIT_READ)
async def read_audit(
    request: Request, filters: Filters, limit: Limit = 100, before: Before = None, everything: Everything = False
) -> Response:
    """Who did, or tried, what in your workspace, newest first. For maintainers. A token that is limited to some packages sees what it did
    itself.
    """
    seen = _seen(actor_of(request), filters, everything=everything)
    return await _page(request, lambda session: seen, limit=limit, before=before)


@routes.get(
    "/audit/export",
    summary="Export the audit",
    response_class=StreamingResponse,
    responses=answers(orjson.dumps(EXAMPLE).decode() + "\n", *GUARDED, 422, media_type=NDJSON),
)
@requires(Scope.AUDIT_EXPORT)
async def export_audit(request: Request, filters: Filters, everything: Everything = False) -> Response:
    """One JSON object a line (NDJSON), oldest first, up to what was there when the export began. For owners."""
    seen = _seen(actor_of(request), filters, everything=everything)
    entries = reading.export(services(request).core.database, seen, CHUNK)

    def lines() -> bytes:
        return b"".join(orjson.dumps(entry, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE) for entry in islice(entries, CHUNK))

    async def rest(chunk: bytes) -> AsyncIterator[bytes]:
        while chunk:
            yield chunk
            chunk = await calls.aside(request, lines)

    first = await calls.aside(request, lines)  # before the answer begins: what goes wrong now can still be said
    headers = {"Content-Disposition": 'attachment; filename="audit.ndjson"', "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(rest(first), media_type=NDJSON, headers={**headers, "Cache-Control": "no-store"})


@routes.get(
    "/tokens/{token_id}/logs",
    summary="What a token was used for",
    response_model=list[EntryView],
    responses=answers([EXAMPLE], *GUARDED, 422, more=NEWEST_HEADERS),
    tags=["tokens"],
)
@requires(Scope.TOKENS_READ)
async def token_logs(request: Request, token_id: TokenId, limit: Limit = 100, before: Before = None) -> Response:
    """The audit's entries of one of your tokens, newest first."""
    actor = actor_of(request)

    def own(session: Session) -> AuditFilter:
        return AuditFilter(token_id=issuing.find(session, actor, token_id).id)

    return await _page(request, own, limit=limit, before=before)


async def _page(request: Request, filters: Callable[[Session], AuditFilter], *, limit: int, before: int | None) -> Response:
    def look(session: Session) -> list[EntryView]:
        return reading.page(session, filters=filters(session), limit=limit, before=before)

    found = await calls.read(request, look)
    if len(found) < limit:
        return render(found)
    url = request.url.include_query_params(before=found[-1].seq, limit=limit)
    return render(found, headers={"Link": f'<{url}>; rel="next"'})


def _seen(actor: Actor, filters: AuditFilter, *, everything: bool) -> AuditFilter:
    """Those of ``filters`` that the actor may see.

    Raises:
        InsufficientRole: the actor is no instance administrator and asks for what is beyond the workspace.
        ResourceNotInToken: the token is limited, and asks for another's entries.
    """
    if everything and not actor.is_admin:
        raise insufficient_role(actor.role, None, actor.workspace)
    if actor.resources:
        if filters.token_id not in (None, actor.token_id):
            raise ResourceNotInToken(f"the {actor.label} is limited to some packages, so of the audit it sees only what it did itself")
        filters = replace(filters, token_id=actor.token_id)
    return filters if everything else replace(filters, workspace_id=actor.workspace_id)
