"""The token gate: pure ASGI middleware that validates the request's token and names its actor, before the router sees it.

It refuses nothing by itself: whether an operation needs an actor is declared on the matched route (``routing.py``), never decided from
the URL.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from anyio import to_thread
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from example.errors import PackageMasterError, Unauthenticated
from example.identity.actor import Actor
from example.identity.credentials import TokenRecord, find_token, parse_authorization, verify
from example.identity.issuing import record_use
from example.identity.tokens import Secret
from example.models import now
from example.web.services import Services, services_of

USE_NOTED_EVERY = timedelta(minutes=1)
CACHED_TOKENS = 10_000

Identity = Actor | Exception


class TokenGate:
    """Sets ``scope["state"]["identity"]``: an actor, or the error that a route that needs one answers with: bad credentials, or a
    database that is gone.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._cache: dict[str, TokenRecord | None] = {}
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
            secret = parse_authorization(header)
            record = await self._find(services, secret)
            address, moment = client_address(scope), now()
            actor = verify(record, secret, pepper=services.core.pepper, address=address, moment=moment)
        except (PackageMasterError, SQLAlchemyError) as error:
            return error
        assert record is not None, "verify refuses a token that isn't there"
        self._note_use(services, record, address, headers.get("user-agent"), moment)
        return actor

    async def _find(self, services: Services, secret: Secret) -> TokenRecord | None:
        """The token's row. On SQLite it is kept for as long as nobody has committed anything: a revocation counts at once, on every
        process.
        """
        if services.reader is None:
            return await to_thread.run_sync(_look_up, services, secret.public_id, limiter=services.threads)
        version = services.reader.data_version()
        if version != self._cache_version or len(self._cache) > CACHED_TOKENS:
            self._cache.clear()
            self._cache_version = version
        if secret.public_id not in self._cache:
            self._cache[secret.public_id] = find_token(services.reader.connection, secret.public_id)
        return self._cache[secret.public_id]

    def _note_use(self, services: Services, record: TokenRecord, address: str | None, agent: str | None, moment: datetime) -> None:
        """Write down the use after the answer, at most once a minute and token: a read must not wait for a write."""
        token_id = record.actor.token_id
        last = self._noted.get(token_id) or record.last_used_at
        if last is not None and moment - last < USE_NOTED_EVERY:
            return
        if len(self._noted) > CACHED_TOKENS:
            self._noted.clear()
        self._noted[token_id] = moment

        async def write() -> None:
            await to_thread.run_sync(_write_use, services, token_id, address, agent, moment, limiter=services.threads)

        task = asyncio.create_task(write())
        services.background.add(task)
        task.add_done_callback(services.background.discard)


def client_address(scope: Scope) -> str | None:
    """The peer's address as the server saw it."""
    client = scope.get("client")
    return client[0] if client else None


def _look_up(services: Services, public_id: str) -> TokenRecord | None:
    with services.core.database.read() as session:
        return find_token(session, public_id)


def _write_use(services: Services, token_id: int, address: str | None, agent: str | None, moment: datetime) -> None:
    try:
        services.core.database.transact(lambda session: record_use(session, token_id, address=address, agent=agent, moment=moment))
    except SQLAlchemyError:
        return  # a busy or full database: the next use in a minute notes it
