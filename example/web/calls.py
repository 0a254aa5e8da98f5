"""How a handler calls a domain verb: where it runs, in which transaction, and how its result becomes bytes.

Verbs are synchronous. Point reads on embedded SQLite run in the event loop; everything else in **one** thread hop that opens the
session, works, commits and closes inside, before the answer is sent (docs/design.md has the table).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from anyio import CapacityLimiter, to_thread
from fastapi import Request, Response
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from example.identity.actor import Actor
from example.identity.credentials import require_still
from example.lifecycle.switching import Bench
from example.web import audit_trail
from example.web.services import services

Result = TypeVar("Result")


async def point_read(request: Request, verb: Callable[[Connection | Session], Result]) -> Result:
    """A read by key, proven short."""
    reader = services(request).reader
    return verb(reader.connection) if reader is not None else await read(request, verb)


async def read(request: Request, verb: Callable[[Session], Result]) -> Result:
    """Any other read, in one thread hop."""
    return await _read(request, verb, services(request).threads)


async def follow(request: Request, verb: Callable[[Session], Result]) -> Result:
    """A read that is repeated for as long as somebody follows: two threads of its own, so that many followers slow down each other only."""
    return await _read(request, verb, services(request).followers)


async def _read(request: Request, verb: Callable[[Session], Result], limiter: CapacityLimiter) -> Result:
    database = services(request).core.database

    def run() -> Result:
        with database.read() as session:
            return verb(session)

    return await to_thread.run_sync(run, limiter=limiter)


async def write(request: Request, verb: Callable[[Session], Result], status: Callable[[Result], int] | None = None) -> Result:
    """A change and its audit entry: one transaction, committed when this returns. ``status`` tells the answer's where the route has two."""
    held, usual = services(request), declared_status(request)

    def work(session: Session) -> Result:
        _require_still(request, session)
        result = verb(session)
        audit_trail.record(request, session, status(result) if status else usual)
        return result

    result = await to_thread.run_sync(held.core.database.transact, work, limiter=held.threads)
    audit_trail.trail_of(request.scope).recorded = True
    return result


async def change(request: Request, verb: Callable[[Bench], Result]) -> Result:
    """A change of an environment, which runs subprocesses: threads of its own, so that slow ones don't hold up the rest.

    Its last transaction takes the audit entry along; when nothing changed, or nothing could, the queue does.
    """
    held, taken = services(request), False

    def record(session: Session) -> None:
        nonlocal taken
        audit_trail.record(request, session, declared_status(request))
        taken = True

    await read(request, lambda session: _require_still(request, session))
    bench = Bench(held.core.database, held.host, held.core.settings.data_dir, record)
    result = await to_thread.run_sync(verb, bench, limiter=held.changes)
    audit_trail.trail_of(request.scope).recorded = taken
    return result


def _require_still(request: Request, session: Session) -> None:
    identity = request.scope["state"]["identity"]
    if isinstance(identity, Actor):
        require_still(session, identity)


def declared_status(request: Request) -> int:
    """The status of a good answer of the request's route."""
    return getattr(request.scope.get("route"), "status_code", None) or 200


async def aside(request: Request, work: Callable[[], Result]) -> Result:
    """Something short without a transaction, after the commit: not in the event loop, and never behind activations."""
    return await to_thread.run_sync(work, limiter=services(request).threads)


def render(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A view (a frozen dataclass, or a list of them) as JSON; moments in RFC 3339 with Z."""
    return Response(orjson.dumps(value, option=orjson.OPT_UTC_Z), status, headers, media_type="application/json")
