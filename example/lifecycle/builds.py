"""The job that downloads a package: what a worker does between ``begin`` and the end, whoever kills it meanwhile.

DBOS runs the step at least once, cancels it at its awaits, and retries it when somebody killed the fetch from outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog
from dbos import DBOS
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from example.db import Database
from example.jobs import doorbell
from example.jobs.file_lock import remove_lock, try_lock
from example.jobs.queue import JobQueue
from example.lifecycle import downloads
from example.lifecycle.job_log import JobLogWriter
from example.nix.failures import explain_os_error
from example.sources import Artifact, FetchKilled, FetchRequest, Source, SourceError

FETCH_ATTEMPTS = 3
SLOT_FREE_SECONDS = 0.015
"""How long after its end a job still counts for DBOS, about: the next one can't begin before."""
MAX_RECOVERIES = 20
LOCK_POLL_SECONDS = 0.1
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0

Result = TypeVar("Result")

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
    """Give this process's jobs their workbench, before the engine starts: DBOS calls workflows by name and passes plain values."""
    global _bench  # noqa: PLW0603 (one engine a process, so one workbench)
    _bench = bench


@DBOS.workflow(name=downloads.WORKFLOW, max_recovery_attempts=MAX_RECOVERIES)
async def download_package(task_id: str, package_id: int) -> None:
    """Download the package of the job ``task_id`` and write down how it ended."""
    assert _bench is not None, "set_up comes before the engine's start"
    try:
        await fetch(task_id, package_id)
    except Exception as error:
        reason = _last_word(error)
        await _write_down(_bench, lambda session: downloads.fail(session, task_id, reason))
    finally:
        asyncio.get_running_loop().call_later(SLOT_FREE_SECONDS, doorbell.ring)


@DBOS.step(
    name="fetch",
    preemptible=True,
    retries_allowed=True,
    max_attempts=FETCH_ATTEMPTS,
    interval_seconds=0.2,
    should_retry=lambda error: isinstance(error, FetchKilled),
)
async def fetch(task_id: str, package_id: int) -> None:
    """One attempt. Raises only what is worth another one, or what nobody foresaw."""
    assert _bench is not None, "set_up comes before the engine's start"
    bench = _bench
    try:
        async with _only_one(bench.locks / f"package-{package_id}"):
            await _download(bench, task_id)
    except OSError as problem:  # above all: no space for the lock
        reason = explain_os_error("the download could not begin", problem).text
        await _write_down(bench, lambda session: downloads.fail(session, task_id, reason))


async def _download(bench: Workbench, task_id: str) -> None:
    """Under the package's lock: what an earlier run has finished is not done again, nor undone."""
    work = await _write_down(bench, lambda session: downloads.begin(session, task_id))
    if work is None:
        return
    report = JobLogWriter(bench.database, work.job_id, limit=bench.log_limit)
    if work.attempt > 1:
        report.log(f"--- attempt {work.attempt}\n")
    try:
        artifact = await _fetch_with_log(bench, work, report)
    except FetchKilled:
        raise
    except SourceError as error:
        reason = str(error)
        await _write_down(bench, lambda session: _fail(session, task_id, reason, report))
        return
    wanted = await _write_down(bench, lambda session: _succeed(session, task_id, work, artifact, report))
    if not wanted:
        bench.sources[work.source].forget(work.package_id)


def _fail(session: Session, task_id: str, reason: str, report: JobLogWriter) -> None:
    report.write_rest(session)
    downloads.fail(session, task_id, reason)


def _succeed(session: Session, task_id: str, work: downloads.Work, artifact: Artifact, report: JobLogWriter) -> bool:
    """Whether the artifact is wanted still."""
    report.write_rest(session)
    return downloads.succeed(session, task_id, artifact) or downloads.is_kept(session, work.package_id)


async def _write_down(bench: Workbench, work: Callable[[Session], Result]) -> Result:
    """Run ``work`` in a transaction, again and again while the database is away or full: how a download ended must not get lost."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return await asyncio.to_thread(bench.database.transact, work)
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            log.warning("database_unavailable", error=str(error)[:500], tried_again_in=pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


async def _fetch_with_log(bench: Workbench, work: downloads.Work, report: JobLogWriter) -> Artifact:
    """The fetch, its log written while it runs; what is left of the log at a good or a bad end is for the transaction that ends the job."""
    flushing = asyncio.create_task(report.keep_flushing())
    try:
        return await bench.sources[work.source].fetch(FetchRequest(work.package_id, work.name, work.version), report)
    except SourceError as error:
        report.log(f"{error}\n")
        if isinstance(error, FetchKilled):
            await _flush(report)
        raise
    except BaseException:  # cancelled, or nobody foresaw it: no transaction of ours will write the rest
        await _flush(report)
        raise
    finally:
        flushing.cancel()
        await report.settle()


async def _flush(report: JobLogWriter) -> None:
    with suppress(SQLAlchemyError):  # a log that can't be written must not hide how the fetch ended
        await report.flush()


@asynccontextmanager
async def _only_one(path: Path) -> AsyncIterator[None]:
    """Hold the package's lock: a cancelled run may still be ending when its successor starts. The system drops it when the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        held = try_lock(path)
        if held is not None:
            break
        await asyncio.sleep(LOCK_POLL_SECONDS)
    try:
        yield
    finally:
        remove_lock(path, held)


def _last_word(error: Exception) -> str:
    causes: list[Exception] = getattr(error, "errors", [error])  # DBOS's error after the last retry holds each attempt's
    if isinstance(causes[-1], SourceError):
        return f"{causes[-1]} (tried {FETCH_ATTEMPTS} times)"
    log.error("job_failed", exc_info=error)
    return (
        f"an unexpected error stopped the download: {type(error).__name__}; the server's log has the details, and another try may succeed"
    )


def reconcile(database: Database, queue: JobQueue) -> None:
    """Bring our jobs and the engine's together, where a process died between the two.

    Jobs that the engine will not run any further and nobody wrote an end for fail: none stays ``downloading`` for good. Jobs that were
    cancelled without the engine being told are cancelled there too.
    """
    with database.read() as session:
        unfinished = downloads.open_tasks(session)
    for task_id, state in queue.ended(unfinished).items():
        reason = OTHER_STATES.get(state, f"the job ended without a result (engine state {state}); download it again")
        database.transact(partial(downloads.fail, task_id=task_id, reason=reason))
    running = queue.running()
    if running:
        with database.read() as session:
            unstopped = downloads.cancelled_among(session, running)
        for task_id in unstopped:
            queue.cancel(task_id)
