"""The limiter on real databases: shared counts, strict ones, and a database that is gone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import OperationalError

from example.config import Settings
from example.db import Database
from example.models.audit import RateWindow
from example.ratelimit import limiter as module
from example.ratelimit import table
from example.ratelimit.limiter import Limiter
from example.ratelimit.policies import Policy
from tests.ratelimit.conftest import Clock, Log, limited
from tests.service import ROOT, environment_of

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def login_of(limiter: Limiter) -> Policy:
    assert limiter.policies.login is not None
    return limiter.policies.login


async def let_in(limiter: Limiter, tries: int, subject: str = "x", *, strict: bool = False) -> int:
    answers = await asyncio.gather(*(limiter.hit(login_of(limiter), subject, strict=strict) for _ in range(tries)))
    return sum(answer.allowed for answer in answers)


@pytest.fixture
def limiters(settings: Settings, database: Database, clock: Clock) -> Callable[[], Limiter]:
    """Makes limiters of 3 hits an hour, as several processes would: on one database, with one clock."""
    return lambda: Limiter(limited(settings), database, clock)


def rows(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(RateWindow)) or 0


def test_two_processes_share_the_count(limiters: Callable[[], Limiter]) -> None:
    async def run() -> None:
        one, other = limiters(), limiters()
        assert await let_in(one, 2) == 2
        await one.synchronise()
        assert await let_in(other, 1) == 1
        await other.synchronise()
        assert await let_in(other, 1) == 0
        assert (await other.hit(login_of(other), "x")).remaining == 0

    asyncio.run(run())


def test_a_process_learns_of_the_others_previous_window(limiters: Callable[[], Limiter], clock: Clock) -> None:
    async def run() -> None:
        one, other = limiters(), limiters()
        await let_in(one, 3)
        await one.synchronise()
        clock.go_on(3600)
        await let_in(other, 1)
        await other.synchronise()
        assert (await other.hit(login_of(other), "x")).allowed is False

    asyncio.run(run())


def test_hits_of_a_window_that_has_ended_are_still_added_up(limiters: Callable[[], Limiter], clock: Clock) -> None:
    async def run() -> None:
        one, other = limiters(), limiters()
        await let_in(one, 3)
        clock.go_on(2700)  # the next window begins
        await one.synchronise()
        assert await let_in(other, 3, strict=True) == 0

    asyncio.run(run())


def test_it_adds_up_by_itself(limiters: Callable[[], Limiter]) -> None:
    async def run() -> None:
        one, other = limiters(), limiters()
        await one.start()
        await let_in(one, 3)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if not one._counters.dirty():
                break
        assert await let_in(other, 1, strict=True) == 0
        await one.stop()

    asyncio.run(run())


def test_what_is_not_added_up_is_at_the_stop(limiters: Callable[[], Limiter]) -> None:
    async def run() -> None:
        one = limiters()
        await one.start()
        await let_in(one, 3)
        await one.stop()
        assert await let_in(limiters(), 1, strict=True) == 0

    asyncio.run(run())


def test_many_subjects_are_added_up_in_several_steps(limiters: Callable[[], Limiter], database: Database) -> None:
    async def run() -> None:
        one = limiters()
        for n in range(2500):
            await one.hit(login_of(one), f"subject {n}")
        await one.synchronise()

    asyncio.run(run())
    assert rows(database) == 2500


def test_of_many_strict_hits_at_once_the_limit_is_let_in(limiters: Callable[[], Limiter]) -> None:
    async def run() -> None:
        one, other = limiters(), limiters()
        assert sum(await asyncio.gather(let_in(one, 10, strict=True), let_in(other, 10, strict=True))) == 3

    asyncio.run(run())


def test_of_strict_hits_from_many_threads_the_limit_is_let_in(limiters: Callable[[], Limiter]) -> None:
    counts: list[int] = []

    def work() -> None:
        counts.append(asyncio.run(let_in(limiters(), 10, strict=True)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 3


PROCESS = """
import asyncio
from example.config import Settings
from example.db import Database
from example.ratelimit.limiter import Limiter

async def run():
    settings = Settings(_env_file=None)
    limiter = Limiter(settings, Database(settings))
    print("ready", flush=True)
    input()
    answers = await asyncio.gather(*(limiter.hit(limiter.policies.login, "ada", strict=True) for _ in range(10)))
    print(sum(answer.allowed for answer in answers))

asyncio.run(run())
"""


@pytest.mark.slow
def test_of_forty_log_ins_in_four_processes_exactly_ten_are_let_in(settings: Settings) -> None:
    settings = limited(settings, rate_limit_login="10/hour")
    start: dict[str, Any] = {"cwd": ROOT, "env": environment_of(settings), "text": True}
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **start) for _ in range(4)
    ]
    assert [process.stdout.readline() for process in processes if process.stdout] == ["ready\n"] * 4
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert sum(int(process.communicate(timeout=60)[0]) for process in processes) == 10


def test_a_strict_hit_counts_what_this_process_has_not_added_up(limiters: Callable[[], Limiter]) -> None:
    async def run() -> None:
        one, other = limiters(), limiters()
        await let_in(one, 2)
        assert await let_in(one, 2, strict=True) == 1
        assert await let_in(other, 1, strict=True) == 0
        await one.synchronise()
        assert await let_in(other, 1, strict=True) == 0

    asyncio.run(run())


def test_a_strict_hit_also_counts_the_window_before(limiters: Callable[[], Limiter], clock: Clock) -> None:
    async def run() -> None:
        one = limiters()
        await let_in(one, 3)
        clock.go_on(3600)
        assert await let_in(one, 3, strict=True) == 1  # three quarters of three still count
        clock.go_on(1800)
        assert await let_in(one, 3, strict=True) == 2

    asyncio.run(run())


def count_transactions(limiter: Limiter, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    seen: list[object] = []
    transact = limiter._database.transact

    def noted(work: Callable[..., object]) -> object:
        seen.append(work)
        return transact(work)

    monkeypatch.setattr(limiter._database, "transact", noted)
    return seen


@on_sqlite
def test_whoever_hammers_costs_one_look_a_second(limiters: Callable[[], Limiter], clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        one = limiters()
        seen = count_transactions(one, monkeypatch)
        assert await let_in(one, 50, strict=True) == 3
        assert len(seen) == 3
        clock.go_on(1.5)
        assert await let_in(one, 50, strict=True) == 0
        assert len(seen) == 4

    asyncio.run(run())


@on_sqlite
def test_nothing_to_add_up_costs_no_transaction(limiters: Callable[[], Limiter], monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        one = limiters()
        await one.start()
        seen = count_transactions(one, monkeypatch)
        await asyncio.sleep(0.2)
        assert seen == []
        await one.stop()

    asyncio.run(run())


def test_a_success_clears_the_count_for_everybody(limiters: Callable[[], Limiter]) -> None:
    async def run() -> None:
        one, other = limiters(), limiters()
        await let_in(one, 3, strict=True)
        await one.clear(login_of(one), "x")
        assert await let_in(other, 3, strict=True) == 3

    asyncio.run(run())


def test_windows_that_are_over_are_deleted(limiters: Callable[[], Limiter], database: Database, clock: Clock) -> None:
    async def run() -> None:
        one = limiters()
        await let_in(one, 1, "old")
        await one.synchronise()
        clock.go_on(2 * 3600)
        await let_in(one, 1, "new")
        await one.synchronise()

    asyncio.run(run())
    assert rows(database) == 1


def test_a_previous_window_is_not_deleted(limiters: Callable[[], Limiter], clock: Clock) -> None:
    async def run() -> None:
        one = limiters()
        await let_in(one, 3)
        await one.synchronise()
        clock.go_on(3600)
        await one.synchronise()
        assert await let_in(limiters(), 3, strict=True) == 1

    asyncio.run(run())


@on_sqlite
def test_very_many_windows_are_deleted_in_several_steps(
    limiters: Callable[[], Limiter], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "PURGED_AT_ONCE", 4)
    over = [{"key": f"old {n}", "number": 1, "hits": 1, "ends_at": 1} for n in range(6)]
    database.transact(lambda session: session.execute(insert(RateWindow), over))

    async def run() -> None:
        one = limiters()
        await one.synchronise()
        assert rows(database) == 2
        await one.synchronise()
        assert rows(database) == 0

    asyncio.run(run())


def failing(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    seen: list[object] = []

    def fail(work: object) -> None:
        seen.append(work)
        raise OperationalError("INSERT", None, Exception("gone"))

    monkeypatch.setattr(database, "transact", fail)
    return seen


async def work_without_database(limiter: Limiter) -> None:
    assert await let_in(limiter, 2) == 2
    await limiter.synchronise()
    assert await let_in(limiter, 5, strict=True) == 1


@on_sqlite
def test_without_a_database_it_counts_in_the_process(
    limiters: Callable[[], Limiter], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(database, monkeypatch)
    asyncio.run(work_without_database(limiters()))


@on_sqlite
def test_a_failing_database_is_logged_once_a_minute(
    limiters: Callable[[], Limiter], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    monkeypatch.setattr(module, "log", log)
    monkeypatch.setattr(module, "REST_SECONDS", 0.0)
    assert len(failing(database, monkeypatch)) == 0
    asyncio.run(work_without_database(limiters()))
    assert log.lines == ["rate limits are counted in this process only"]


@on_sqlite
def test_after_a_failure_nobody_waits_for_the_database_for_a_second(
    limiters: Callable[[], Limiter], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = failing(database, monkeypatch)
    asyncio.run(work_without_database(limiters()))
    assert len(seen) == 1


@on_sqlite
def test_when_the_database_is_back_what_was_counted_meanwhile_is_added_up(
    limiters: Callable[[], Limiter], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REST_SECONDS", 0.01)

    async def run() -> None:
        one = limiters()
        await one.start()
        with monkeypatch.context() as broken:
            failing(database, broken)
            await let_in(one, 3)
            await asyncio.sleep(0.15)
        await one.stop()
        assert await let_in(limiters(), 1, strict=True) == 0

    asyncio.run(run())


def test_an_odd_subject_is_no_trouble(limiters: Callable[[], Limiter], database: Database) -> None:
    async def run() -> None:
        one = limiters()
        await let_in(one, 1, "nul\0" * 100)
        await let_in(one, 1, "plain")
        await one.synchronise()

    asyncio.run(run())
    assert rows(database) == 2


@on_sqlite
def test_one_that_was_never_started_can_be_stopped(limiters: Callable[[], Limiter]) -> None:
    stopping: Awaitable[None] = limiters().stop()
    asyncio.run(asyncio.wait_for(stopping, 5))
