"""The limiter of one serving process: counts hits where this installation counts them.

Without Redis: in memory, added up in the database within a second; strict hits in the database itself, before the answer. With it:
there, and as without it while it is away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy.orm import Session

from example.config import Settings
from example.db import Database
from example.ratelimit import table
from example.ratelimit.counters import Counters
from example.ratelimit.policies import Policies, Policy, storable
from example.ratelimit.redis_counters import RedisCounters
from example.ratelimit.windows import Window, headers_of

__all__ = ["Limiter", "Window", "headers_of"]

INTERVAL_SECONDS = 1.0
REST_SECONDS = 1.0  # after the database failed
COMPLAIN_SECONDS = 60.0
PURGE_SECONDS = 60.0

Result = TypeVar("Result")
log = structlog.get_logger("example.ratelimit")


class Limiter:
    """Counts from ``start`` to ``stop``. Belongs to one event loop. ``clock`` gives seconds since 1970, as the other processes see them."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], float] = time.time) -> None:
        self.policies = Policies.of(settings)
        self._database = database
        self._clock = clock
        self._counters = Counters(clock)
        self._redis = RedisCounters(settings.redis_url) if settings.redis_url else None
        self._turn = asyncio.Lock()  # what is being added up is nobody else's to add, and strict hits don't fill the threads with waiting
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._rest_until = self._complain_at = self._purge_at = 0.0

    async def start(self) -> None:
        """Begin to add up."""
        self._task = asyncio.create_task(self._keep_adding_up())

    async def stop(self) -> None:
        """Add up what there is, and end."""
        self._stopping.set()
        self._wake.set()
        if self._task is not None:
            await self._task
        if self._redis is not None:
            await self._redis.close()

    async def hit(self, policy: Policy, subject: str, *, strict: bool = False) -> Window:
        """Count one hit of ``subject``, if it fits: a refused one doesn't count.

        ``strict``: never more than the limit, however many processes are asked at once. Costs a transaction; for what guards secrets.
        Otherwise each process may let in what the others let in during the last second.
        """
        subject = storable(subject)
        if self._redis is not None and (window := await self._redis.hit(policy, subject)) is not None:
            return window
        key = policy.key(subject)
        if strict:
            return await self._hit_strictly(policy, key)
        window = self._counters.hit(policy, key)
        self._wake.set()
        return window

    async def clear(self, policy: Policy, subject: str) -> None:
        """Forget the hits of ``subject``: whoever logs in was no attack. Other processes notice at their next strict hit."""
        subject = storable(subject)
        if self._redis is not None:
            await self._redis.clear(policy, subject)
        key = policy.key(subject)
        async with self._turn:
            self._counters.clear(key)
            await self._transact(partial(table.clear, key=key))

    async def synchronise(self) -> None:
        """Add up everything that was counted here, and now and then delete what is over."""
        async with self._turn:
            while slots := self._counters.due():
                totals = await self._transact(partial(table.add_up, slots=slots))
                if totals is None:
                    return
                self._counters.settle(slots, totals)
            if (moment := self._clock()) >= self._purge_at:
                more = await self._transact(partial(table.purge, moment=moment))
                self._purge_at = moment + (0 if more else PURGE_SECONDS)

    async def _hit_strictly(self, policy: Policy, key: str) -> Window:
        async with self._turn:
            if (refused := self._counters.refusal(policy, key)) is not None:
                return refused
            slot, left = self._counters.slot(policy, key)
            slots = self._counters.due_of(slot)
            done = await self._transact(partial(table.hit_strictly, policy=policy, slot=slot, left=left, slots=slots))
            if done is None:
                return self._counters.hit(policy, key)
            window, totals = done
            self._counters.settle(slots, totals)
            return window

    async def _transact(self, work: Callable[[Session], Result]) -> Result | None:
        """Do ``work`` in a transaction, not in the event loop. ``None`` when the database can't; then nobody else waits for it during the
        next second. Whoever calls this has the turn.
        """
        return None if time.monotonic() < self._rest_until else await asyncio.to_thread(self._attempt, work)

    def _attempt(self, work: Callable[[Session], Result]) -> Result | None:
        try:
            return self._database.transact(work)
        except Exception as error:  # whatever it is, it is no reason to answer nobody
            moment = time.monotonic()
            self._rest_until = moment + REST_SECONDS
            if moment >= self._complain_at:
                self._complain_at = moment + COMPLAIN_SECONDS
                log.warning("rate limits are counted in this process only", error=f"{type(error).__name__}: {error}")
            return None

    async def _keep_adding_up(self) -> None:
        while not self._stopping.is_set():
            await self._wake.wait()
            self._wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), INTERVAL_SECONDS)
            await self.synchronise()
            if self._counters.dirty():
                self._wake.set()
