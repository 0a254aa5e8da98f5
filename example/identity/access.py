"""Protected rows are fetched only through here: every query starts from what the actor may see. All else is not found."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from example.errors import NotFound
from example.identity.actor import Actor, insufficient_role, no_workspace
from example.identity.roles import Role, held
from example.models import Environment, Job, Member, Package, Workspace


def visible_packages(actor: Actor) -> ColumnElement[bool]:
    """The condition that a package is the actor's to see: its workspace, and the token's resources."""
    workspace = Package.workspace_id == actor.workspace_id
    return and_(workspace, or_(*map(_named_like, actor.resources))) if actor.resources else workspace


def _named_like(pattern: str) -> ColumnElement[bool]:
    # Not LIKE: SQLite's takes no notice of case, and a token for team-* must not reach Team-x.
    prefix = pattern[:-1]
    return func.substr(Package.name, 1, len(prefix)) == prefix if pattern.endswith("*") else Package.name == pattern


def package(session: Session, actor: Actor, package_id: int, *, lock: bool = False) -> Package:
    """One package; with ``lock`` nobody else changes it until this transaction ends.

    Raises:
        NotFound.
    """
    query = select(Package).where(visible_packages(actor), Package.id == package_id)
    found = session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise no_package(package_id)
    return found


def no_package(package_id: int) -> NotFound:
    """The one answer for a package that isn't there and for one that the actor may not see."""
    return NotFound(f"there is no package {package_id}; list them with GET /api/v1/packages")


def visible_jobs(actor: Actor) -> ColumnElement[bool]:
    """The condition that a job is the actor's to see."""
    workspace = Job.workspace_id == actor.workspace_id
    if not actor.resources:
        return workspace
    return and_(workspace, Job.package_id.in_(select(Package.id).where(visible_packages(actor))))


def job(session: Session, actor: Actor, task_id: str, *, lock: bool = False) -> Job:
    """One job by its ``task_id``.

    Raises:
        NotFound.
    """
    query = select(Job).where(visible_jobs(actor), Job.task_id == task_id)
    found = session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise NotFound(f"there is no job {task_id}; list them with GET /api/v1/jobs")
    return found


def environment(session: Session, actor: Actor, source: str, name: str) -> Environment | None:
    """The environment of the actor's workspace, or ``None`` where it has not come into being yet."""
    wanted = Environment.workspace_id == actor.workspace_id, Environment.source == source, Environment.name == name
    return session.scalar(select(Environment).where(*wanted))


def workspace(session: Session, actor: Actor, name: str, *, at_least: Role = Role.VIEWER, lock: bool = False) -> tuple[Workspace, Role]:
    """The workspace of this name, and the actor's role in it; with ``lock`` nobody else changes it or its members meanwhile.

    Raises:
        NotFound: it isn't there, or the actor is no member.
        InsufficientRole: the actor's role is lower than ``at_least``.
    """
    query = select(Workspace).where(Workspace.name == name, Workspace.deleted_at.is_(None))
    found = session.scalar(query.with_for_update() if lock else query)
    member = session.get(Member, (found.id, actor.user_id)) if found is not None else None
    role = held(member.role if member else None, is_admin=actor.is_admin)
    if found is None or role is None:
        raise no_workspace(name)
    if not role.covers(at_least):
        raise insufficient_role(role, at_least, f"the workspace {name!r}")
    return found, role
