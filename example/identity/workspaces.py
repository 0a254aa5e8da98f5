"""The verbs on workspaces: create, list, look at, change the settings. Who is in them: members.py; how one ends: lifecycle/closing.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from example.errors import WorkspaceExists
from example.identity import access
from example.identity.actor import Actor, no_workspace
from example.identity.roles import Role
from example.models import Member, Workspace

NAME_PATTERN = "^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$"
SHORTEST_NAME, LONGEST_NAME = 2, 63
LONGEST_DESCRIPTION = 500


@dataclass(frozen=True)
class WorkspaceView:
    """A workspace as it is shown; ``role`` is what the caller may do in it."""

    id: int
    name: str
    description: str
    role: Role
    created_at: datetime


@dataclass(frozen=True)
class SettingsView:
    """A workspace's settings; ``longest_token_days`` is how long new tokens may live."""

    description: str
    longest_token_days: int


def create(session: Session, actor: Actor, *, name: str, description: str = "") -> WorkspaceView:
    """A new workspace, whose owner is the actor.

    Raises:
        WorkspaceExists: the name is taken, by whomever.
    """
    made = Workspace(name=name, description=description)
    try:
        with session.begin_nested():
            session.add(made)
    except IntegrityError:
        raise WorkspaceExists(f"the name {name!r} is taken; choose another") from None
    session.add(Member(workspace_id=made.id, user_id=actor.user_id, role=Role.OWNER.value))
    return _view(made, Role.OWNER)


def show(session: Session, actor: Actor, name: str) -> WorkspaceView:
    """One workspace.

    Raises:
        NotFound: it isn't there, or the actor is no member.
    """
    return _view(*access.workspace(session, actor, name))


def page(session: Session, actor: Actor, *, limit: int, after: int) -> list[WorkspaceView]:
    """The workspaces that the actor is a member of (an administrator: all) by id, those after ``after``, at most ``limit``."""
    mine = (Member.workspace_id == Workspace.id) & (Member.user_id == actor.user_id)
    query = select(Workspace, Member.role).outerjoin(Member, mine).where(_visible(actor), Workspace.id > after)
    found = session.execute(query.order_by(Workspace.id).limit(limit))
    return [_view(workspace, Role.OWNER if actor.is_admin else Role(role)) for workspace, role in found]


def total(session: Session, actor: Actor) -> int:
    """How many workspaces the actor can see."""
    return int(session.scalar(select(func.count()).select_from(Workspace).where(_visible(actor))) or 0)


def settings(session: Session, actor: Actor, name: str) -> SettingsView:
    """The settings of a workspace.

    Raises:
        NotFound.
    """
    workspace, _ = access.workspace(session, actor, name)
    return SettingsView(workspace.description, workspace.longest_token_days)


def change_settings(
    session: Session, actor: Actor, name: str, *, description: str | None = None, longest_token_days: int | None = None
) -> SettingsView:
    """Change what is given; tokens that are there live on as long as they were promised.

    Raises:
        NotFound.
        InsufficientRole: the actor is no maintainer of it.
    """
    workspace, _ = access.workspace(session, actor, name, at_least=Role.MAINTAINER, lock=True)
    if description is not None:
        workspace.description = description
    if longest_token_days is not None:
        workspace.longest_token_days = longest_token_days
    return SettingsView(workspace.description, workspace.longest_token_days)


def find_id(session: Session, actor: Actor, name: str) -> int | None:
    """The id of the workspace of this name, when the actor can see it. Loads no row, so that a later one is read under its lock."""
    return session.scalar(select(Workspace.id).where(_visible(actor), Workspace.name == name))


def require_open(session: Session, actor: Actor) -> None:
    """To be called after a row of the actor's workspace was inserted: its foreign key made that wait for whoever was closing the workspace.

    Raises:
        NotFound: the workspace was deleted since the actor's credential was verified.
    """
    if session.scalar(select(Workspace.deleted_at).where(Workspace.id == actor.workspace_id)) is not None:
        raise no_workspace(actor.workspace)


def _visible(actor: Actor) -> ColumnElement[bool]:
    there = Workspace.deleted_at.is_(None)
    return there if actor.is_admin else there & Workspace.id.in_(select(Member.workspace_id).where(Member.user_id == actor.user_id))


def _view(workspace: Workspace, role: Role) -> WorkspaceView:
    return WorkspaceView(workspace.id, workspace.name, workspace.description, role, workspace.created_at)
