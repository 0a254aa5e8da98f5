"""The job that downloads a package: what a worker does between ``begin`` and the end, whoever kills it meanwhile.

DBOS runs the step at least once, cancels it at its awaits, and retries it when somebody killed the fetch from outside.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from dbos import DBOS
from sqlalchemy.exc import DBAPIError

from example.db import Database
from example.jobs.queue import JobQueue
from example.lifecycle import downloads
from example.lifecycle.job_log import JobLogWriter
from example.sources import Artifact, FetchKilled, FetchRequest, Source, SourceError

FETCH_ATTEMPTS = 3
MAX_RECOVERIES = 20
LOCK_POLL_SECONDS = 0.1
OTHER_STATES = {
    "CANCELLED": "the job was cancelled in the queue; download it again",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": f"the job's worker died {MAX_RECOVERIES} times while it ran, so it was given up",
    "MISSING": "the job is not in the queue any more; download it again",
}

log = structlog.get_logger("example.lifecycle")


@dataclass(frozen=True)
class Workbench:
    """What the job works with."""

    database: Database
    sources: Mapping[str, Source]
    locks: Path
    log_limit: int


_bench: Workbench | None = None


def set_up(bench: Workbench) -> None:
    """Give this process's jobs their workbench, before the engine starts: DBOS calls workflows by name and passes only ``task_id``."""
    global _bench
    _bench = bench


@DBOS.workflow(name=downloads.WORKFLOW, max_recovery_attempts=MAX_RECOVERIES)
async def download_package(task_id: str) -> None:
    """Download the package of the job ``task_id`` and write down how it ended."""
    assert _bench is not None, "set_up comes before the engine's start"
    try:
        await fetch(task_id)
    except Exception as error:
        reason = _last_word(error)
        await asyncio.to_thread(_bench.database.transact, lambda session: downloads.fail(session, task_id, reason))


@DBOS.step(
    name="fetch",
    preemptible=True,
    retries_allowed=True,
    max_attempts=FETCH_ATTEMPTS,
    interval_seconds=0.2,
    should_retry=lambda error: isinstance(error, FetchKilled),
)
async def fetch(task_id: str) -> None:
    """One attempt. Raises only what is worth another one, or what nobody foresaw."""
    assert _bench is not None, "set_up comes before the engine's start"
    database = _bench.database
    work = await asyncio.to_thread(database.transact, lambda session: downloads.begin(session, task_id))
    if work is None:
        return
    async with _only_one(_bench.locks / f"package-{work.package_id}"):
        try:
            artifact = await _fetch_with_log(_bench, work)
        except FetchKilled:
            raise
        except SourceError as error:
            reason = str(error)
            await asyncio.to_thread(database.transact, lambda session: downloads.fail(session, task_id, reason))
            return
        kept = await asyncio.to_thread(database.transact, lambda session: downloads.succeed(session, task_id, artifact))
        if not kept:
            _bench.sources[work.source].forget(work.package_id)


async def _fetch_with_log(bench: Workbench, work: downloads.Work) -> Artifact:
    report = JobLogWriter(bench.database, work.job_id, limit=bench.log_limit)
    if work.attempt > 1:
        report.log(f"--- attempt {work.attempt}\n")
    flushing = asyncio.create_task(report.keep_flushing())
    try:
        return await bench.sources[work.source].fetch(FetchRequest(work.package_id, work.name, work.version), report)
    except SourceError as error:
        report.log(f"{error}\n")
        raise
    finally:
        flushing.cancel()
        with suppress(DBAPIError):  # a log that can't be written must not hide how the fetch ended
            await report.flush()


@asynccontextmanager
async def _only_one(path: Path) -> AsyncIterator[None]:
    """Hold the package's lock: a cancelled run may still be ending when its successor starts. The system drops it when the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(LOCK_POLL_SECONDS)
        yield
    finally:
        os.close(file)


def _last_word(error: Exception) -> str:
    causes: list[Exception] = getattr(error, "errors", [error])  # DBOS's error after the last retry holds each attempt's
    if isinstance(causes[-1], SourceError):
        return f"{causes[-1]} (tried {FETCH_ATTEMPTS} times)"
    log.error("job_failed", exc_info=error)
    return (
        f"an unexpected error stopped the download: {type(error).__name__}; the server's log has the details, and another try may succeed"
    )


def reconcile(database: Database, queue: JobQueue) -> None:
    """Fail the jobs that the engine will not run any further and nobody wrote an end for: none stays ``downloading`` for good."""
    with database.read() as session:
        unfinished = downloads.open_tasks(session)
    for task_id, state in queue.ended(unfinished).items():
        reason = OTHER_STATES.get(state, f"the job ended without a result (engine state {state}); download it again")
        database.transact(lambda session, task_id=task_id, reason=reason: downloads.fail(session, task_id, reason))  # type: ignore[misc]
