"""The verbs of a download: ask for it, cancel it, and what the worker says of it. Each is one transaction of its caller."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from example.errors import JobFinished
from example.identity import access
from example.identity.actor import Actor
from example.jobs.queue import JobQueue
from example.lifecycle.job_log import storable
from example.lifecycle.jobs import OPEN_STATES
from example.lifecycle.states import Status, move
from example.models import Job, Package, now
from example.sources import Artifact

KIND = "download"
WORKFLOW = "download_package"
LOOKED_AT_ONCE = 500


@dataclass(frozen=True)
class Download:
    """How a download stands: ``task_id`` is ``None`` when there is nothing left to do."""

    status: Status
    task_id: str | None


@dataclass(frozen=True)
class Work:
    """What a worker needs to know to do a download."""

    job_id: int
    package_id: int
    source: str
    name: str
    version: str
    attempt: int


def start(session: Session, actor: Actor, queue: JobQueue, package_id: int) -> Download:
    """Ask for a package to be downloaded. However many ask while it runs, there is one job: the package's row is locked until both exist.

    Raises:
        NotFound.
    """
    package = access.package(session, actor, package_id, lock=True)
    if package.status == Status.ACTIVATED or (package.status == Status.DOWNLOADED and not _is_lost(package)):
        return Download(Status(package.status), None)
    if package.status == Status.DOWNLOADING:
        return Download(Status.DOWNLOADING, package.task_id)
    move(session, package, Status.DOWNLOADING)
    package.task_id, package.error = str(uuid.uuid4()), None
    session.add(
        Job(
            task_id=package.task_id,
            workspace_id=package.workspace_id,
            package_id=package.id,
            kind=KIND,
            label=f"{package.name} {package.version}",
            created_by=actor.user_id,
        )
    )
    queue.enqueue(session, WORKFLOW, package.task_id, package.id)
    return Download(Status.DOWNLOADING, package.task_id)


def _is_lost(package: Package) -> bool:
    """Whether the store that had the artifact is here and has it no more: another volume, or a collector that wasn't ours."""
    return any(os.path.isdir(os.path.dirname(path)) and not os.path.lexists(path) for path in package.outputs or ())


def cancel(session: Session, actor: Actor, task_id: str) -> Job:
    """End a job before its time; its package is ``failed`` and can be asked for again. The engine is told after the commit.

    Raises:
        NotFound.
        JobFinished: it has ended already.
    """
    access.job(session, actor, task_id)
    _, job = _lock(session, task_id)
    if job is None or job.state not in OPEN_STATES:
        raise JobFinished(f"the job {task_id} has ended ({job.state if job else 'gone'}); there is nothing to cancel")
    _end(session, task_id, state="cancelled", error=f"cancelled by {actor.username}")
    return job


def begin(session: Session, task_id: str) -> Work | None:
    """A worker starts, or starts again, on a job; ``None`` when it is not wanted any more."""
    package, job = _lock(session, task_id)
    if job is None or job.state not in OPEN_STATES or package is None or package.task_id != task_id:
        return None
    job.state, job.attempts, job.started_at = "running", job.attempts + 1, job.started_at or now()
    return Work(job.id, package.id, package.source, package.name, package.version, job.attempts)


def succeed(session: Session, task_id: str, artifact: Artifact) -> bool:
    """The artifact is here; ``False`` when the job was cancelled or superseded meanwhile, and nothing was changed."""
    package = _end(session, task_id, state="succeeded", error=None)
    if package is None:
        return False
    package.artifact, package.outputs = artifact.path, list(artifact.outputs)
    package.derivation, package.pin, package.size = artifact.derivation, artifact.pin, artifact.size
    package.downloaded_at = now()
    return True


def fail(session: Session, task_id: str, reason: str) -> None:
    """The job has failed, with a reason for people. Nothing changes when it has ended already."""
    _end(session, task_id, state="failed", error=storable(reason))


def is_kept(session: Session, package_id: int) -> bool:
    """Whether the package's artifact is in use, whoever fetched it."""
    status = session.scalar(select(Package.status).where(Package.id == package_id))
    return status in (Status.DOWNLOADED, Status.ACTIVATED)


def open_tasks(session: Session) -> list[str]:
    """The oldest jobs that have not ended, at most 500: the queue is first in, first out, so the others' turn comes."""
    query = select(Job.task_id).where(Job.state.in_(OPEN_STATES)).order_by(Job.id).limit(LOOKED_AT_ONCE)
    return list(session.scalars(query))


def cancelled_among(session: Session, task_ids: Collection[str]) -> list[str]:
    """Those of ``task_ids`` that somebody cancelled."""
    return list(session.scalars(select(Job.task_id).where(Job.task_id.in_(task_ids), Job.state == "cancelled")))


def _lock(session: Session, task_id: str) -> tuple[Package | None, Job | None]:
    """The job and its package, locked in the same order everywhere: package first."""
    package_id = session.scalar(select(Job.package_id).where(Job.task_id == task_id))
    package = session.scalar(select(Package).where(Package.id == package_id).with_for_update())
    job = session.scalar(select(Job).where(Job.task_id == task_id).with_for_update().execution_options(populate_existing=True))
    return package, job


def _end(session: Session, task_id: str, *, state: str, error: str | None) -> Package | None:
    package, job = _lock(session, task_id)
    if job is None or job.state not in OPEN_STATES:
        return None
    job.state, job.error, job.finished_at = state, error, now()
    if package is None or package.task_id != task_id or package.status != Status.DOWNLOADING:
        return None
    move(session, package, Status.FAILED if error else Status.DOWNLOADED)
    package.error = error
    return package
