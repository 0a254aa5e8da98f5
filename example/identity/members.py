"""The verbs on the members of a workspace. Whoever changes them holds the workspace's row: so an owner always remains."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from example.errors import LastOwner, NotFound
from example.identity import access
from example.identity.actor import Actor, insufficient_role
from example.identity.roles import Role
from example.models import Member, User, Workspace


@dataclass(frozen=True)
class MemberView:
    """Somebody's membership; ``since`` when."""

    username: str
    role: Role
    since: datetime


@dataclass(frozen=True)
class MemberPage:
    """Some members of a workspace; ``last`` is the position behind them, ``total`` how many members there are."""

    members: list[MemberView]
    last: int | None
    total: int


def page(session: Session, actor: Actor, name: str, *, limit: int, after: int) -> MemberPage:
    """The members of a workspace, those who registered first before the others, those behind ``after``, at most ``limit``.

    Raises:
        NotFound: the actor is none of them.
    """
    workspace, _ = access.workspace(session, actor, name)
    query = select(Member, User.username).join(User, User.id == Member.user_id).where(Member.workspace_id == workspace.id)
    found = session.execute(query.where(Member.user_id > after).order_by(Member.user_id).limit(limit)).all()
    total = session.scalar(select(func.count()).select_from(Member).where(Member.workspace_id == workspace.id))
    return MemberPage([_view(row) for row in found], found[-1][0].user_id if found else None, total or 0)


def set_role(session: Session, actor: Actor, name: str, username: str, role: Role) -> tuple[MemberView, Role | None]:
    """Make somebody a member, or give a member another role; answers the role before, too.

    Raises:
        NotFound: the workspace, or nobody of this name has an account in use.
        InsufficientRole: the actor is no maintainer, or ``role`` or the member's present one is above the actor's own.
        LastOwner: no owner would remain.
        ResourceNotInToken: the token is limited to some packages, and a member isn't.
    """
    workspace, own = access.workspace(session, actor, name, at_least=Role.MAINTAINER, lock=True)
    actor.require_unlimited("deciding who is a member")
    _require_covered(own, role, name)
    found = _find(session, workspace, username)
    if found is None:
        return _add(session, workspace, username, role), None
    member, before = found[0], Role(found[0].role)
    _require_covered(own, before, name)
    if role is not Role.OWNER:
        _require_another_owner(session, workspace, member)
    member.role = role.value
    return _view(found), before


def remove(session: Session, actor: Actor, name: str, username: str) -> Role:
    """End a membership; everybody may end their own. Answers the role that it was.

    Raises:
        NotFound: the workspace, or it has no such member.
        InsufficientRole: the actor is no maintainer, or the member's role is above the actor's.
        LastOwner: no owner would remain.
    """
    leaving = username == actor.username
    workspace, own = access.workspace(session, actor, name, at_least=Role.VIEWER if leaving else Role.MAINTAINER, lock=True)
    found = _find(session, workspace, username)
    if found is None:
        raise NotFound(f"{username!r} is no member of the workspace {name!r}")
    member = found[0]
    if not leaving:
        _require_covered(own, Role(member.role), name)
    _require_another_owner(session, workspace, member)
    session.delete(member)
    session.flush()
    return Role(member.role)


def _find(session: Session, workspace: Workspace, username: str) -> Row[Member, str] | None:
    wanted = Member.workspace_id == workspace.id, User.username == username
    return session.execute(select(Member, User.username).join(User, User.id == Member.user_id).where(*wanted)).first()


def _add(session: Session, workspace: Workspace, username: str, role: Role) -> MemberView:
    user_id = session.scalar(select(User.id).where(User.username == username, User.disabled_at.is_(None)))
    if user_id is None:
        raise NotFound(f"there is nobody with the user name {username!r}; they have to register first")
    member = Member(workspace_id=workspace.id, user_id=user_id, role=role.value)
    session.add(member)
    session.flush()
    return MemberView(username, role, member.created_at)


def _require_covered(own: Role, role: Role, name: str) -> None:
    """Nobody gives or takes what is above their own."""
    if not own.covers(role):
        raise insufficient_role(own, role, f"the workspace {name!r}")


def _require_another_owner(session: Session, workspace: Workspace, member: Member) -> None:
    """Before ``member`` stops being an owner. An owner whose account is disabled can't act, so doesn't count."""
    if member.role != Role.OWNER:
        return
    others = Member.workspace_id == workspace.id, Member.role == Role.OWNER, Member.user_id != member.user_id
    able = select(func.count()).select_from(Member).join(User, User.id == Member.user_id).where(*others, User.disabled_at.is_(None))
    if not session.scalar(able):
        raise LastOwner(f"the workspace {workspace.name!r} would be left without an owner; make somebody else an owner first")


def _view(row: Row[Member, str]) -> MemberView:
    return MemberView(row[1], Role(row[0].role), row[0].created_at)
