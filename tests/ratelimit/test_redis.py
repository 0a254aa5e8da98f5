"""Counting in a real Redis: shared, and done without while it is away."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from example.config import Settings
from example.db import Database
from example.ratelimit import redis_counters
from example.ratelimit.limiter import Limiter
from tests.ratelimit.conftest import Log, RedisServer, limited
from tests.ratelimit.test_limiter import let_in, login_of

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    """What was logged; Redis is looked for in a hurry, and has time to answer on a machine that is busy with other tests."""
    monkeypatch.setattr(redis_counters, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(redis_counters, "TIMEOUT_SECONDS", 5.0)
    log = Log()
    monkeypatch.setattr(redis_counters, "log", log)
    return log


@pytest.fixture
def with_redis(settings: Settings, redis_server: RedisServer) -> Settings:
    return limited(settings, redis_url=redis_server.url)


@pytest.fixture
def locked_redis(settings: Settings, redis_server: RedisServer, tmp_path: Path) -> Iterator[Settings]:
    """Settings with a Redis that wants a password which they don't have."""
    server = RedisServer(tmp_path, "--requirepass", "secret")
    server.start()
    yield limited(settings, redis_url=server.url)
    server.kill()


async def until_back(log: Log) -> None:
    deadline = time.monotonic() + 10
    while "redis is back: rate limits are counted there again" not in log.lines:
        assert time.monotonic() < deadline, log.lines
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("strict", [False, True])
def test_processes_share_the_count_in_redis(with_redis: Settings, database: Database, strict: bool) -> None:
    async def run() -> None:
        one, other = Limiter(with_redis, database), Limiter(with_redis, database)
        assert sum(await asyncio.gather(let_in(one, 20, strict=strict), let_in(other, 20, strict=strict))) == 3
        await one.stop()
        await other.stop()

    asyncio.run(run())


def test_redis_says_what_remains_and_until_when(with_redis: Settings, database: Database) -> None:
    async def run() -> None:
        limiter = Limiter(with_redis, database)
        first = await limiter.hit(login_of(limiter), "x")
        assert (first.allowed, first.limit, first.remaining) == (True, 3, 2)
        assert 3590 < first.reset <= 3600
        await let_in(limiter, 2)
        full = await limiter.hit(login_of(limiter), "x")
        assert (full.allowed, full.remaining) == (False, 0)
        await limiter.stop()

    asyncio.run(run())


def test_windows_slide_in_redis_too(settings: Settings, redis_server: RedisServer, database: Database) -> None:
    async def run() -> None:
        limiter = Limiter(limited(settings, redis_url=redis_server.url, rate_limit_login="1/second"), database)
        assert await let_in(limiter, 5) == 1
        await asyncio.sleep((await limiter.hit(login_of(limiter), "x")).reset + 0.02)
        assert await let_in(limiter, 3) == 1
        await limiter.stop()

    asyncio.run(run())


def test_a_success_clears_the_count_in_redis(with_redis: Settings, database: Database) -> None:
    async def run() -> None:
        limiter = Limiter(with_redis, database)
        await let_in(limiter, 3)
        await limiter.clear(login_of(limiter), "x")
        assert await let_in(limiter, 3) == 3
        await limiter.stop()

    asyncio.run(run())


def test_when_redis_dies_the_same_limit_is_counted_here(
    with_redis: Settings, redis_server: RedisServer, database: Database, log: Log
) -> None:
    async def run() -> None:
        limiter = Limiter(with_redis, database)
        assert await let_in(limiter, 1) == 1
        redis_server.kill()
        assert await let_in(limiter, 10) == 3
        assert await let_in(limiter, 10) == 0
        await limiter.stop()

    asyncio.run(run())
    assert log.lines == ["redis is away: rate limits are counted without it"]


def test_strict_hits_are_counted_in_the_database_while_redis_is_away(
    with_redis: Settings, redis_server: RedisServer, database: Database
) -> None:
    redis_server.kill()

    async def run() -> None:
        one, other = Limiter(with_redis, database), Limiter(with_redis, database)
        assert sum(await asyncio.gather(let_in(one, 10, strict=True), let_in(other, 10, strict=True))) == 3
        await one.stop()
        await other.stop()

    asyncio.run(run())


def test_when_redis_comes_back_it_is_counted_there_again(
    with_redis: Settings, redis_server: RedisServer, database: Database, log: Log
) -> None:
    async def run() -> None:
        limiter = Limiter(with_redis, database)
        redis_server.kill()
        assert await let_in(limiter, 10) == 3
        await asyncio.sleep(0.2)  # looks that find nothing
        redis_server.start()
        await until_back(log)
        assert await let_in(limiter, 10) == 3
        await limiter.stop()

    asyncio.run(run())


def test_a_redis_that_hangs_is_waited_for_once(
    with_redis: Settings, redis_server: RedisServer, database: Database, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_counters, "TIMEOUT_SECONDS", 1.0)

    async def run() -> None:
        limiter = Limiter(with_redis, database)
        assert await let_in(limiter, 1) == 1
        redis_server.send(signal.SIGSTOP)
        started = time.monotonic()
        assert await let_in(limiter, 10) == 3
        first = time.monotonic() - started
        started = time.monotonic()
        assert await let_in(limiter, 10) == 0
        assert first >= 1 and time.monotonic() - started < first / 2
        redis_server.send(signal.SIGCONT)
        await until_back(log)
        await limiter.stop()

    asyncio.run(run())


def test_clearing_does_without_redis(with_redis: Settings, redis_server: RedisServer, database: Database) -> None:
    async def run() -> None:
        limiter = Limiter(with_redis, database)
        redis_server.kill()
        await limiter.clear(login_of(limiter), "x")
        assert await let_in(limiter, 10) == 3
        await limiter.clear(login_of(limiter), "x")
        assert await let_in(limiter, 10) == 3
        await limiter.stop()

    asyncio.run(run())


def test_a_redis_that_refuses_is_as_good_as_none(locked_redis: Settings, database: Database, log: Log) -> None:
    async def run() -> None:
        limiter = Limiter(locked_redis, database)
        assert await let_in(limiter, 10) == 3
        await limiter.stop()

    asyncio.run(run())
    assert log.lines == ["redis is away: rate limits are counted without it"]
