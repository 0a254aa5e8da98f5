"""The writer: commits in groups, makes requests wait when it is full, outlives a database that is away, and drops nothing in silence."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from sqlalchemy import event
from structlog.testing import capture_logs

from example.audit import writer as module
from example.audit.verify import verify
from example.audit.writer import AuditWriter
from example.db import Database
from tests.audit.written import KEY, entry, only_sqlite, stored, tamper


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(module, "LONGEST_PAUSE_SECONDS", 0.05)


@pytest.fixture(autouse=True)
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The lines of the log."""
    monkeypatch.setattr(module, "log", structlog.get_logger())
    with capture_logs() as lines:
        yield lines


def lost(said: list[Any]) -> list[Any]:
    return [line for line in said if line["event"] == "audit_not_written"]


def numbers(database: Database) -> list[int]:
    """The statuses of what is stored: tests number their entries so."""
    return [one.status or 0 for one in stored(database)]


async def put_all(writer: AuditWriter, statuses: range) -> None:
    for status in statuses:
        await writer.put(entry(status=status))


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


@contextmanager
def counted_commits(database: Database) -> Iterator[list[float]]:
    """When each transaction was committed."""
    commits: list[float] = []

    def note(_: Any) -> None:
        commits.append(time.monotonic())

    event.listen(database.engine, "commit", note)
    yield commits
    event.remove(database.engine, "commit", note)


@contextmanager
def slow(database: Database) -> Iterator[threading.Event]:
    """Every commit waits until the event is set."""
    go = threading.Event()

    def wait(_: Any) -> None:
        assert go.wait(20)

    event.listen(database.engine, "commit", wait)
    try:
        yield go
    finally:
        go.set()
        event.remove(database.engine, "commit", wait)


def go_away(database: Database) -> None:
    tamper(database, "ALTER TABLE audit_head RENAME TO away")


def come_back(database: Database) -> None:
    tamper(database, "ALTER TABLE away RENAME TO audit_head")


def test_entries_are_committed_in_the_order_in_which_they_came(database: Database) -> None:
    async def work() -> None:
        writer = AuditWriter(database, KEY)
        await put_all(writer, range(10))
        await until(lambda: writer.waiting == 0)

    run(work())
    assert numbers(database) == list(range(10))
    assert verify(database, [KEY]).entries == 10


@only_sqlite
def test_entries_of_a_moment_are_committed_together(database: Database) -> None:
    async def work() -> None:
        writer = AuditWriter(database, KEY)
        with counted_commits(database) as commits:
            await put_all(writer, range(50))
            await until(lambda: writer.waiting == 0)
        assert len(commits) == 1

    run(work())


@only_sqlite
def test_an_entry_waits_for_others_no_longer_than_it_may(database: Database) -> None:
    async def work() -> None:
        writer = AuditWriter(database, KEY, group_seconds=0.3)
        with counted_commits(database) as commits:
            begin = time.monotonic()
            await put_all(writer, range(1))
            await asyncio.sleep(0.2)
            assert commits == []
            await put_all(writer, range(1))
            await until(lambda: writer.waiting == 0)
        assert 0.3 <= commits[0] - begin < 5
        assert len(commits) == 1

    run(work())


@only_sqlite
def test_while_a_group_is_committed_the_next_collects(database: Database) -> None:
    async def work() -> None:
        writer = AuditWriter(database, KEY, group_seconds=0.01)
        with slow(database) as go:
            await put_all(writer, range(3))
            await asyncio.sleep(0.1)
            await put_all(writer, range(3, 9))
            go.set()
            with counted_commits(database) as commits:
                await until(lambda: writer.waiting == 0)
        assert len(commits) <= 2

    run(work())
    assert numbers(database) == list(range(9))


@only_sqlite
def test_a_large_group_does_not_wait_for_more(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_GROUP", 5)

    async def work() -> None:
        writer = AuditWriter(database, KEY, group_seconds=60)
        with counted_commits(database) as commits:
            await put_all(writer, range(10))
            await until(lambda: writer.waiting == 0)
        assert len(commits) == 2

    run(work())


@only_sqlite
def test_whoever_finds_it_full_waits_for_room(database: Database, said: list[Any]) -> None:
    async def work() -> None:
        writer = AuditWriter(database, KEY, capacity=4)
        with slow(database) as go:
            await put_all(writer, range(4))
            fifth = asyncio.create_task(writer.put(entry(status=4)))
            await asyncio.sleep(0.1)
            assert not fifth.done()
            go.set()
            await fifth
            await writer.drain()

    run(work())
    assert numbers(database) == [0, 1, 2, 3, 4]
    assert lost(said) == []


@only_sqlite
def test_those_who_wait_get_room_in_the_order_in_which_they_came(database: Database) -> None:
    async def work() -> None:
        writer = AuditWriter(database, KEY, capacity=2)
        with slow(database) as go:
            tasks = [asyncio.create_task(writer.put(entry(status=status))) for status in range(9)]
            await asyncio.sleep(0.05)
            go.set()
            await asyncio.gather(*tasks)
            await writer.drain()

    run(work())
    assert numbers(database) == list(range(9))


def test_entries_outlive_a_database_that_is_away(database: Database, said: list[Any]) -> None:
    async def work() -> None:
        writer = AuditWriter(database, KEY, group_seconds=0.01)
        go_away(database)
        await put_all(writer, range(5))
        await until(lambda: [line["event"] for line in said].count("audit_waits") > 3)
        assert writer.waiting == 5
        come_back(database)
        await until(lambda: writer.waiting == 0)
        assert writer.lost == 0

    run(work())
    assert numbers(database) == list(range(5))


@only_sqlite
def test_what_finds_no_room_in_time_goes_to_the_log_and_is_counted(database: Database, said: list[Any]) -> None:
    async def work() -> None:
        writer = AuditWriter(database, KEY, capacity=2, patience=0.1, group_seconds=0.01)
        go_away(database)
        await put_all(writer, range(2))
        begin = time.monotonic()
        await writer.put(entry(status=2, detail="why"))
        assert time.monotonic() - begin >= 0.1
        assert writer.lost == 1
        come_back(database)
        await writer.drain()

    run(work())
    assert numbers(database) == [0, 1]
    (line,) = lost(said)
    assert (line["status"], line["detail"], line["user_id"], line["reason"], line["log_level"]) == (2, "why", 5, None, "error")


@only_sqlite
def test_a_lost_entry_shows_no_token_and_can_be_written_as_json(database: Database, said: list[Any]) -> None:
    writer = AuditWriter(database, KEY)
    writer._lose([entry(agent="pm_pat_" + "x1" * 20, resource="\ud800" + "y" * 9000)])
    (line,) = lost(said)
    assert line["agent"] == "pm_pat_…"
    assert len(line["resource"]) == module.LONGEST_LOGGED
    assert json.dumps(line, ensure_ascii=False).encode()


@only_sqlite
def test_who_gives_up_waiting_leaves_the_entry_in_the_log(database: Database, said: list[Any]) -> None:
    async def work() -> None:
        writer = AuditWriter(database, KEY, capacity=1)
        with slow(database) as go:
            await put_all(writer, range(1))
            waiting = asyncio.create_task(writer.put(entry(status=1)))
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert writer.lost == 1
            go.set()
            await put_all(writer, range(2, 3))  # the room that was waited for is still there
            await writer.drain()

    run(work())
    assert numbers(database) == [0, 2]
    assert [line["status"] for line in lost(said)] == [1]


@pytest.mark.parametrize("place", [0, 3, 7])
def test_an_entry_that_no_database_takes_is_lost_alone(database: Database, said: list[Any], place: int) -> None:
    async def work() -> None:
        writer = AuditWriter(database, KEY, group_seconds=0.01)
        for number in range(8):
            await writer.put(entry(status=number, user_id=2**70 if number == place else 1))
        await writer.drain()
        assert writer.lost == 1

    run(work())
    assert numbers(database) == [number for number in range(8) if number != place]
    assert [line["status"] for line in lost(said)] == [place]


@only_sqlite
def test_draining_commits_everything_at_once(database: Database) -> None:
    async def work() -> None:
        writer = AuditWriter(database, KEY, group_seconds=60)
        await put_all(writer, range(2500))
        await writer.drain()
        assert writer.waiting == 0

    run(work())
    assert numbers(database) == list(range(2500))


@only_sqlite
def test_draining_what_is_empty_does_nothing(database: Database) -> None:
    run(AuditWriter(database, KEY).drain())
    assert stored(database) == []


@only_sqlite
def test_a_drained_writer_still_takes_entries(database: Database) -> None:
    async def work() -> None:
        writer = AuditWriter(database, KEY)
        await put_all(writer, range(1))
        await writer.drain()
        await put_all(writer, range(1, 2))
        await writer.drain()

    run(work())
    assert numbers(database) == [0, 1]


@only_sqlite
def test_draining_takes_those_who_wait_for_room_along(database: Database, said: list[Any]) -> None:
    async def work() -> None:
        writer = AuditWriter(database, KEY, capacity=2, group_seconds=60)
        tasks = [asyncio.create_task(writer.put(entry(status=status))) for status in range(9)]
        await asyncio.sleep(0)
        await writer.drain()
        await asyncio.gather(*tasks)
        assert writer.waiting == 0

    run(work())
    assert numbers(database) == list(range(9))
    assert lost(said) == []


def test_draining_while_the_database_is_away_ends_in_the_log(database: Database, said: list[Any]) -> None:
    async def work() -> None:
        writer = AuditWriter(database, KEY)
        go_away(database)
        await put_all(writer, range(3))
        await writer.drain(seconds=0.2)
        assert (writer.lost, writer.waiting) == (3, 0)

    run(work())
    assert [line["status"] for line in lost(said)] == [0, 1, 2]


@only_sqlite
def test_a_commit_under_way_when_the_patience_of_draining_ends_is_not_called_lost(database: Database, said: list[Any]) -> None:
    async def work() -> None:
        writer = AuditWriter(database, KEY, group_seconds=0.01)
        with slow(database) as go:
            await put_all(writer, range(3))
            await asyncio.sleep(0.1)
            asyncio.get_running_loop().call_later(0.2, go.set)
            await put_all(writer, range(3, 5))
            await writer.drain(seconds=0.05)

    run(work())
    assert numbers(database) == [0, 1, 2]
    assert [line["status"] for line in lost(said)] == [3, 4]


@only_sqlite
def test_a_loop_that_ends_without_draining_leaves_entries_in_the_log(database: Database, said: list[Any]) -> None:
    run(put_all(AuditWriter(database, KEY, group_seconds=60), range(3)))
    assert stored(database) == []
    assert [line["status"] for line in lost(said)] == [0, 1, 2]


@only_sqlite
def test_an_entry_costs_a_request_next_to_nothing_when_there_is_room(database: Database) -> None:
    async def work() -> None:
        writer, one = AuditWriter(database, KEY, group_seconds=60), entry()
        rounds = []
        for _ in range(9):
            begin = time.perf_counter()
            for _ in range(100):
                await writer.put(one)
            rounds.append((time.perf_counter() - begin) / 100)
        assert min(rounds) < 20e-6  # 1 µs on a quiet machine
        await writer.drain()

    run(work())
