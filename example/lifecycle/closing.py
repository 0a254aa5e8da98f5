"""The end of a workspace: rows first, in one transaction, then what they stood for: profiles, jobs under way, artifacts.

The workspace's row stays, and so do those of its environments: they tell every host which profiles to take down (``reconciling.sweep``),
and a change that was waiting for one finds nothing in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Delete, Update, delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from example.environments import history
from example.environments.host import exclusive, take_down
from example.errors import Conflict, ResourceNotInToken, WorkspaceNotEmpty
from example.identity import access
from example.identity.actor import Actor
from example.identity.roles import Role
from example.jobs.queue import JobQueue
from example.lifecycle.jobs import OPEN_STATES
from example.lifecycle.states import Status
from example.lifecycle.switching import Bench
from example.models import Environment, Generation, GenerationPackage, Invitation, Job, Member, Package, PackageCount, Token, Workspace, now
from example.models.schema import DEFAULT_WORKSPACE
from example.sources import Source


@dataclass(frozen=True)
class Contents:
    """What a workspace held that is gone with it: ``environments`` with something live, ``jobs`` and ``tokens`` in use."""

    packages: int
    environments: int
    jobs: int
    tokens: int
    members: int


@dataclass(frozen=True)
class _Gone:
    """What went, and what is to be done about it after the commit: jobs to stop, artifacts (package, source) to forget."""

    contents: Contents
    tasks: Sequence[str]
    artifacts: Sequence[tuple[int, str]]


def close(
    bench: Bench,
    actor: Actor,
    queue: JobQueue,
    sources: Mapping[str, Source],
    name: str,
    *,
    force: bool,
    announce: Callable[[Contents], None],
) -> None:
    """Delete a workspace; with ``force`` with everything in it. ``announce`` hears what that was, before the audit entry is written.

    Raises:
        NotFound: the actor is no member of it.
        InsufficientRole: nor its owner.
        ResourceNotInToken: the token is limited to some packages.
        WorkspaceNotEmpty: it has packages, or something live, and ``force`` was not asked for.
        Conflict: it is the default one.
        EnvironmentBusy: a change of an environment of it doesn't come to its end.
    """

    def rows(session: Session, locked: Sequence[int]) -> _Gone | None:
        found = _closable(session, actor, name, force=force, lock=True)
        if _environments(session, found) != locked:
            return None
        gone = _remove(session, actor, found, locked)
        announce(gone.contents)
        bench.record(session)
        return gone

    gone: _Gone | None = None
    while gone is None:  # again when an environment came into being between the look and the locks
        with bench.database.read() as session:
            environments = _environments(session, _closable(session, actor, name, force=force, lock=False))
        gone = _locked(bench, environments, partial(rows, locked=environments))
    for task_id in gone.tasks:
        with suppress(SQLAlchemyError):  # the keeper tells the engine
            queue.cancel(task_id)
    for package_id, source in gone.artifacts:
        with suppress(OSError):  # example-admin gc lets go of them
            sources[source].forget(package_id)


def _locked(bench: Bench, environments: Sequence[int], rows: Callable[[Session], _Gone | None]) -> _Gone | None:
    """Change ``rows`` while nobody changes the environments, and take these down before anybody can again."""
    with ExitStack() as locks:
        for environment_id in environments:
            locks.enter_context(exclusive(bench.host, environment_id))
        gone = bench.database.transact(rows)
        for environment_id in environments if gone is not None else ():
            with suppress(OSError):  # sweep tries again
                take_down(bench.host, environment_id)
        return gone


def _remove(session: Session, actor: Actor, workspace: Workspace, environments: Sequence[int]) -> _Gone:
    live, moment = _live(session, workspace), now()
    columns = select(Package.id, Package.source, Package.status)
    packages = session.execute(columns.where(_of(Package, workspace)).order_by(Package.id).with_for_update()).all()
    tasks = _cancel_jobs(session, actor, workspace)
    for environment_id in environments:
        history.clear(session, environment_id)
    for table in (Package, PackageCount):
        session.execute(delete(table).where(_of(table, workspace)))
    session.execute(delete(Invitation).where(_of(Invitation, workspace), Invitation.used_by.is_(None)))
    revoked = update(Token).where(_of(Token, workspace), Token.revoked_at.is_(None)).values(revoked_at=moment, revoked_by=actor.user_id)
    tokens = _changed(session, revoked)
    members = _changed(session, delete(Member).where(_of(Member, workspace)))
    workspace.name, workspace.deleted_at = f"~{workspace.id}", moment
    fetched = [(package.id, package.source) for package in packages if package.status != Status.CREATED]
    return _Gone(Contents(len(packages), live, len(tasks), tokens, members), tasks, fetched)


def _closable(session: Session, actor: Actor, name: str, *, force: bool, lock: bool) -> Workspace:
    found, _ = access.workspace(session, actor, name, at_least=Role.OWNER, lock=lock)
    if found.name == DEFAULT_WORKSPACE:
        raise Conflict(f"the workspace {name!r} is what paths without a workspace mean, so it can't be deleted")
    if actor.resources:
        raise ResourceNotInToken(
            f"the {actor.label} is limited to {', '.join(actor.resources)}, and deleting a workspace is about everything in it",
            your_resources=list(actor.resources),
        )
    packages = session.scalar(select(func.count()).select_from(Package).where(_of(Package, found))) or 0
    live = _live(session, found)
    if (packages or live) and not force:
        raise WorkspaceNotEmpty(
            f"the workspace {name!r} has {packages} packages, and something live in {live} environments; "
            "deactivate and delete them first, or take everything along with ?force=true",
            packages=packages,
            environments=live,
        )
    return found


def _environments(session: Session, workspace: Workspace) -> list[int]:
    """All its environments, in the order in which they are locked."""
    return list(session.scalars(select(Environment.id).where(_of(Environment, workspace)).order_by(Environment.id)))


def _live(session: Session, workspace: Workspace) -> int:
    """In how many of its environments something is live."""
    current = (Generation.environment_id == Environment.id) & (Generation.number == Environment.generation)
    query = select(func.count(Environment.id.distinct())).join(Generation, current).where(_of(Environment, workspace))
    return session.scalar(query.join(GenerationPackage, GenerationPackage.generation_id == Generation.id)) or 0


def _cancel_jobs(session: Session, actor: Actor, workspace: Workspace) -> list[str]:
    jobs = session.scalars(select(Job).where(_of(Job, workspace), Job.state.in_(OPEN_STATES)).order_by(Job.id).with_for_update()).all()
    for job in jobs:
        job.state, job.error, job.finished_at = "cancelled", f"cancelled by {actor.username}, who deleted the workspace", now()
    session.flush()
    return [job.task_id for job in jobs]


def _of(table: Any, workspace: Workspace) -> ColumnElement[bool]:
    owned: ColumnElement[bool] = table.workspace_id == workspace.id
    return owned


def _changed(session: Session, statement: Update | Delete) -> int:
    """How many rows a statement changed."""
    return cast(CursorResult[Any], session.execute(statement)).rowcount
