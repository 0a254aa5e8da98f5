"""Jobs as they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from example.db import Database
from example.identity.access import visible_jobs
from example.identity.actor import Actor
from example.models import Job

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
OPEN_STATES = ("queued", "running")
PURGED_AT_ONCE = 100


@dataclass(frozen=True)
class Progress:
    """``done`` of ``expected`` derivations are there; ``phase`` is what goes on now."""

    done: int
    expected: int
    phase: str | None


@dataclass(frozen=True)
class JobView:
    """A job as every protocol shows it. ``attempts`` counts its starts: more than one after a crash."""

    id: int
    task_id: str
    kind: str
    label: str
    package_id: int | None
    state: JobState
    attempts: int
    progress: Progress
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def view(job: Job) -> JobView:
    """The view of a row."""
    return JobView(
        job.id,
        job.task_id,
        job.kind,
        job.label,
        job.package_id,
        job.state,  # type: ignore[arg-type]  # the database's check constraint knows no other
        job.attempts,
        Progress(job.done, job.expected, job.phase),
        job.error,
        job.created_at,
        job.started_at,
        job.finished_at,
    )


def page(session: Session, actor: Actor, state: JobState | None, *, limit: int, after: int) -> list[JobView]:
    """The jobs in ``state`` (any when ``None``) by id, those after ``after``, at most ``limit``."""
    query = select(Job).where(visible_jobs(actor), Job.id > after).order_by(Job.id).limit(limit)
    return [view(job) for job in session.scalars(query.where(Job.state == state) if state else query)]


def total(session: Session, actor: Actor, state: JobState | None) -> int:
    """How many jobs in ``state`` there are."""
    query = select(func.count()).select_from(Job).where(visible_jobs(actor))
    return int(session.scalar(query.where(Job.state == state) if state else query) or 0)


def purge(database: Database, before: datetime) -> int:
    """Delete the jobs that ended before ``before``, with their logs, a few a transaction so that nobody waits long; answers how many."""

    def few(session: Session) -> int:
        old = select(Job.id).where(Job.state.not_in(OPEN_STATES), Job.finished_at < before).limit(PURGED_AT_ONCE)
        ids = list(session.scalars(old))
        session.execute(delete(Job).where(Job.id.in_(ids)))
        return len(ids)

    purged = 0
    while deleted := database.transact(few):
        purged += deleted
    return purged
