"""The queue between a web process's event loop and the audit: entries are committed in groups, and none is dropped in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

import structlog
from sqlalchemy.exc import DataError, IntegrityError

from example.audit.chain import COLUMNS
from example.audit.entries import Entry, append
from example.db import Database
from example.log import redact

LARGEST_GROUP = 1000  # about 20 ms of one thread
LONGEST_LOGGED = 2000  # characters of one text
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0
UNWRITABLE = (DataError, IntegrityError, TypeError, ValueError, OverflowError)  # the entry's fault, not the database's: no use to wait

log = structlog.get_logger("example.audit")


class AuditWriter:
    """Takes entries from one event loop. ``lost`` counts those that only the log has (event ``audit_not_written``)."""

    def __init__(
        self, database: Database, key: bytes, *, capacity: int = 10_000, group_seconds: float = 0.05, patience: float = 2.0
    ) -> None:
        self.lost = 0
        self._database, self._key = database, key
        self._group_seconds, self._patience = group_seconds, patience
        self._largest = min(LARGEST_GROUP, capacity)
        self._entries: list[Entry] = []
        self._room = asyncio.Semaphore(capacity)  # first come, first served
        self._enough = asyncio.Event()  # no reason to collect any longer
        self._draining = False
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many entries are not committed yet."""
        return len(self._entries)

    async def put(self, entry: Entry) -> None:
        """Have ``entry`` committed soon. Returns at once when there is room; else waits for it, at most ``patience`` seconds, and then
        the entry goes to the log.
        """
        if self._room.locked():
            try:
                async with asyncio.timeout(self._patience):
                    await self._room.acquire()
            except BaseException as error:  # cancelled: nobody else would say it
                self._lose([entry])
                if isinstance(error, TimeoutError):
                    return
                raise
        else:
            await self._room.acquire()  # doesn't wait
        self._entries.append(entry)
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="audit-writer")
        if len(self._entries) >= self._largest:
            self._enough.set()

    async def drain(self, seconds: float = 10.0) -> None:
        """Commit everything, without collecting. What the database doesn't take within ``seconds`` goes to the log."""
        self._draining = True
        self._enough.set()
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        try:
            while (task := self._task) is not None:  # again for those who waited for room: they come in before this goes on
                await asyncio.wait([task], timeout=max(0, until - loop.time()))
                task.cancel()  # nothing to one that has ended
                await asyncio.wait([task])
        finally:
            self._draining = False

    async def _work(self) -> None:
        """Commit until there is nothing left."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._group_seconds
        try:
            while self._entries:
                await self._collect(due)
                due = loop.time() + self._group_seconds  # for what comes from now on
                await self._write(self._entries[: self._largest])
        finally:
            self._task = None
            self._lose(self._entries)  # cancelled: nobody else would say it
            self._forget(len(self._entries))

    async def _collect(self, due: float) -> None:
        if not self._draining and len(self._entries) < self._largest:
            self._enough.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._enough.wait()

    async def _write(self, group: list[Entry]) -> None:
        """Commit ``group``, or less of it when it holds an entry that no database takes: that one is found by halving."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._commit(group)
                return
            except UNWRITABLE as error:
                log.warning("audit_refused", error=str(error)[:500], entries=len(group))
                if len(group) == 1:
                    self._lose(group)
                    self._forget(1)
                    return
                group = group[: len(group) // 2]
            except Exception as error:
                log.warning("audit_waits", error=str(error)[:500], entries=len(self._entries), seconds=pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _commit(self, group: list[Entry]) -> None:
        write = partial(self._database.transact, lambda session: append(session, self._key, group))
        thread = asyncio.get_running_loop().run_in_executor(None, write)  # to_thread would be a task, which a loop that ends cancels
        try:
            await asyncio.shield(thread)
        except asyncio.CancelledError:
            await asyncio.wait([thread])  # it goes on, and what it commits is not lost
            if thread.exception() is None:
                self._forget(len(group))
            raise
        self._forget(len(group))

    def _forget(self, count: int) -> None:
        del self._entries[:count]
        for _ in range(count):
            self._room.release()

    def _lose(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.lost += 1
            log.error("audit_not_written", **{name: _loggable(getattr(entry, name)) for name in COLUMNS[1:]})


def _loggable(value: object) -> object:
    if value is None or isinstance(value, int):
        return value
    return redact(str(value)).encode(errors="replace").decode()[:LONGEST_LOGGED]
