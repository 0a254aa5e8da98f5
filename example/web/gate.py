"""The token gate: pure ASGI middleware that validates the request's credential and names its actor, before the router sees it.

It refuses nothing by itself: whether an operation needs an actor is declared on the matched route (``routing.py``), never decided from
the URL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qs

from anyio import to_thread
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from example.errors import PackageMasterError, Unauthenticated
from example.identity import tokens
from example.identity.access_tokens import Claims
from example.identity.actor import Actor
from example.identity.credentials import TokenRecord, find_session, find_token, parse_authorization, verify, verify_session
from example.identity.issuing import record_use
from example.models import now
from example.models.schema import DEFAULT_WORKSPACE
from example.web.services import Services, services_of

USE_NOTED_EVERY = timedelta(minutes=1)
CACHED_RECORDS = 10_000

Identity = Actor | Exception
Record = TypeVar("Record")


class TokenGate:
    """Sets ``scope["state"]["identity"]``: an actor, or the error that a route that needs one answers with: bad credentials, or a
    database that is gone.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._cache: dict[Hashable, Any] = {}
        self._cache_version = -1
        self._noted: dict[int, datetime] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {})["identity"] = await self._identify(scope)
        await self._app(scope, receive, send)

    async def _identify(self, scope: Scope) -> Identity:
        headers = Headers(scope=scope)
        header = headers.get("authorization")
        if header is None or not header.strip():
            return Unauthenticated(
                "this needs a token: send Authorization: Bearer pm_pat_…; how to get one: POST /api/v1/tokens, and the README"
            )
        services = services_of(scope)
        try:
            credential = parse_authorization(header, services.core.keys.sessions)
            workspace = named_workspace(scope, headers)
            if isinstance(credential, Claims):
                return await self._session(services, credential, workspace)
            return await self._token(services, credential, workspace, client_address(scope), headers.get("user-agent"))
        except (PackageMasterError, SQLAlchemyError) as error:
            return error

    async def _session(self, services: Services, claims: Claims, workspace: str | None) -> Actor:
        acting_in = DEFAULT_WORKSPACE if workspace is None else workspace
        record = await self._find(services, (claims.sid, acting_in), lambda held: find_session(held, claims.sid, acting_in))
        return verify_session(record, claims, workspace=workspace, moment=now())

    async def _token(
        self, services: Services, secret: tokens.Secret, workspace: str | None, address: str | None, agent: str | None
    ) -> Actor:
        record = await self._find(services, secret.public_id, lambda held: find_token(held, secret.public_id))
        moment, peppers = now(), services.core.keys.tokens
        actor = verify(record, secret, peppers=peppers, workspace=workspace, address=address, moment=moment)
        assert record is not None, "verify refuses a token that isn't there"
        self._note_use(services, record, secret, address, agent, moment)
        return actor

    async def _find(self, services: Services, key: Hashable, look_up: Callable[[Connection | Session], Record]) -> Record:
        """The credential's row. On SQLite it is kept for as long as nobody has committed anything: a revocation counts at once, on every
        process.
        """
        if services.reader is None:
            return await to_thread.run_sync(_look_up, services, look_up, limiter=services.threads)
        version = services.reader.data_version()
        if version != self._cache_version or len(self._cache) > CACHED_RECORDS:
            self._cache.clear()
            self._cache_version = version
        if key not in self._cache:
            self._cache[key] = look_up(services.reader.connection)
        found: Record = self._cache[key]
        return found

    def _note_use(
        self, services: Services, record: TokenRecord, secret: tokens.Secret, address: str | None, agent: str | None, moment: datetime
    ) -> None:
        """Write down the use after the answer, at most once a minute and token: a read must not wait for a write."""
        token_id = record.actor.token_id
        assert token_id is not None, "a token's actor has it"
        last = self._noted.get(token_id) or record.last_used_at
        if last is not None and moment - last < USE_NOTED_EVERY:
            return
        if len(self._noted) > CACHED_RECORDS:
            self._noted.clear()
        self._noted[token_id] = moment
        digest = tokens.digest(services.core.keys.tokens[0], secret)

        def record_it(session: Session) -> None:
            record_use(session, token_id, digest=digest, address=address, agent=agent, moment=moment)

        async def write() -> None:
            await to_thread.run_sync(_write_use, services, record_it, limiter=services.threads)

        task = asyncio.create_task(write())
        services.background.add(task)
        task.add_done_callback(services.background.discard)


def client_address(scope: Scope) -> str | None:
    """The peer's address as the server saw it."""
    client = scope.get("client")
    return client[0] if client else None


def named_workspace(scope: Scope, headers: Headers) -> str | None:
    """The workspace that the request names, by header or else by query."""
    if (header := headers.get("x-workspace")) is not None:
        return header.strip()
    if b"workspace=" not in scope["query_string"]:
        return None
    return next(iter(parse_qs(scope["query_string"].decode("latin-1")).get("workspace", ())), None)


def _look_up(services: Services, look_up: Callable[[Connection | Session], Record]) -> Record:
    with services.core.database.read() as session:
        return look_up(session)


def _write_use(services: Services, record_it: Callable[[Session], None]) -> None:
    try:
        services.core.database.transact(record_it)
    except SQLAlchemyError:
        return  # a busy or full database: the next use in a minute notes it
