"""Counters in Redis, by the library ``limits``; and noticing that Redis is away, and back."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from example.ratelimit.policies import Policy
from example.ratelimit.windows import Window, window_of

TIMEOUT_SECONDS = 0.25
LOOK_SECONDS = 5.0
CONNECTIONS = 16
PREFIX = "package-master"

log = structlog.get_logger("example.ratelimit")


class RedisCounters:
    """Counts in Redis for as long as it answers in time. After it didn't nobody waits for it, until a look in the background finds it."""

    def __init__(self, url: str) -> None:
        # A pool of ours: the storage would read the URL by stricter rules than redis-py, and the client would try for seconds.
        pool: Any = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=TIMEOUT_SECONDS,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._client = Redis(connection_pool=pool)
        self._storage = RedisStorage("async+redis://", implementation="redispy", key_prefix=PREFIX, connection_pool=pool)
        self._strategy = SlidingWindowCounterRateLimiter(self._storage)
        self._looking: asyncio.Task[None] | None = None

    async def hit(self, policy: Policy, subject: str) -> Window | None:
        """Count one hit, if it fits; ``None`` when Redis is away."""
        if self._looking is not None:
            return None
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                allowed = await self._strategy.hit(policy.limit, subject)
                previous, _, current, current_left = await self._storage.get_sliding_window(policy.key(subject), policy.seconds)
        except (RedisError, OSError) as error:
            self._notice(error)
            return None
        left = max(0.0, current_left - policy.seconds)  # its time to live is a window longer: it will be the previous one
        return window_of(policy, previous, current, left, allowed=allowed)

    async def clear(self, policy: Policy, subject: str) -> None:
        """Forget the hits of ``subject``, unless Redis is away."""
        if self._looking is not None:
            return
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._strategy.clear(policy.limit, subject)
        except (RedisError, OSError) as error:
            self._notice(error)

    async def close(self) -> None:
        """Look no more, and close the connections."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await self._client.aclose()
        await self._client.connection_pool.disconnect()

    def _notice(self, error: Exception) -> None:
        if self._looking is None:  # of many at once, the first
            log.warning("redis is away: rate limits are counted without it", error=f"{type(error).__name__}: {error}")
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    await self._client.ping()
            except (RedisError, OSError):
                continue
            log.info("redis is back: rate limits are counted there again")
            self._looking = None
            return
