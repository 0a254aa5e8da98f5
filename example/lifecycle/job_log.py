"""A job's log and progress while it runs: collected in memory, written in batches, readable from any host.

The build's text is untrusted: it is stored as it is, within a limit, and never interpreted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from example.db import Database
from example.models import Job, JobLog

FLUSH_SECONDS = 0.25
LARGEST_CHUNK = 64 * 1024
PAGE_CHUNKS = 50


class LogChunk(NamedTuple):
    """A piece of the log; ``position`` orders it and lets a reader go on where it stopped."""

    position: int
    text: str


class JobLogWriter:
    """Implements ``example.sources.Report`` for one job. Not for several threads: it belongs to one event loop."""

    def __init__(self, database: Database, job_id: int, *, limit: int) -> None:
        self._database, self._job_id = database, job_id
        self._left = limit
        self._texts: list[str] = []
        self._progress: dict[str, object] = {}
        self._writing: asyncio.Future[None] | None = None
        self._sent: tuple[list[str], dict[str, object]] = [], {}

    def log(self, text: str) -> None:
        """Add whole lines."""
        if self._left <= 0:
            return
        self._left -= len(text)
        self._texts.append(storable(text) if self._left > 0 else "… the log is longer than the limit; the rest is not kept\n")

    def progress(self, done: int, expected: int, phase: str) -> None:
        """Say how far it is."""
        self._progress = {"done": done, "expected": expected, "phase": storable(phase)[:200]}

    async def keep_flushing(self) -> None:
        """Write what has come in, until cancelled. What can't be written now is kept for the next time."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            with suppress(SQLAlchemyError):
                await self.flush()

    async def flush(self) -> None:
        """Write what has come in since the last time.

        Raises:
            SQLAlchemyError: the database can't; nothing is lost.
        """
        await self.settle()
        texts, self._texts = self._texts, []
        progress, self._progress = self._progress, {}
        if not texts and not progress:
            return
        self._sent = texts, progress
        self._writing = asyncio.ensure_future(asyncio.to_thread(self._transact, "".join(texts), progress))
        await asyncio.shield(self._writing)

    async def settle(self) -> None:
        """Wait for a write that goes on in its thread, as a cancelled flush's does: its pieces come first."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
            if self._writing.exception() is not None:
                texts, progress = self._sent
                self._texts, self._progress = texts + self._texts, progress | self._progress
            self._writing = None

    def write_rest(self, session: Session) -> None:
        """Write what is left in the caller's transaction, the job's last; may be called again when that fails."""
        self._write(session, "".join(self._texts), self._progress)

    def _transact(self, text: str, progress: dict[str, object]) -> None:
        self._database.transact(lambda session: self._write(session, text, progress))

    def _write(self, session: Session, text: str, progress: dict[str, object]) -> None:
        chunks = [text[start : start + LARGEST_CHUNK] for start in range(0, len(text), LARGEST_CHUNK)]
        if chunks:
            session.execute(insert(JobLog), [{"job_id": self._job_id, "text": chunk} for chunk in chunks])
        if progress:
            session.execute(update(Job).where(Job.id == self._job_id).values(progress))


def storable(text: str) -> str:
    """``text`` as every database takes it: NUL and half surrogates replaced."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode()


def read_log(session: Session, job_id: int, *, after: int) -> Sequence[LogChunk]:
    """The log behind position ``after``, at most 50 pieces of 64 kB."""
    query = select(JobLog.id, JobLog.text).where(JobLog.job_id == job_id, JobLog.id > after).order_by(JobLog.id).limit(PAGE_CHUNKS)
    return [LogChunk(*row) for row in session.execute(query)]
