"""Invitations: a code that lets one person into a workspace, with or without an account, in every registration mode.

It gives what its maker may give at the moment when it is used: who was demoted or left can't let anybody in any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from example.errors import NotFound, TokenMalformed
from example.identity import access, accounts, tokens
from example.identity.actor import Actor, insufficient_role
from example.identity.keys import Keys
from example.identity.roles import Role, held
from example.identity.tokens import INVITATION, Secret
from example.models import Invitation, Member, User, Workspace, now

DEFAULT_DAYS, LONGEST_DAYS = 7, 30
MAY_INVITE = Role.MAINTAINER


@dataclass(frozen=True)
class Invited:
    """An invitation and its code, which is shown this once."""

    secret: Secret
    role: Role
    workspace: str
    expires_at: datetime


@dataclass(frozen=True)
class Joined:
    """What somebody now is in a workspace."""

    workspace_id: int
    workspace: str
    role: Role


def create(session: Session, actor: Actor, keys: Keys, workspace: str, *, role: Role, days: int = DEFAULT_DAYS) -> Invited:
    """Invite somebody into the workspace of this name.

    Raises:
        NotFound: no such workspace.
        InsufficientRole: the actor is less than a maintainer, or less than ``role``.
        ResourceNotInToken: the token is limited to some packages, and who joins isn't.
    """
    found, own = access.workspace(session, actor, workspace, at_least=MAY_INVITE)
    actor.require_unlimited("inviting somebody")
    if not own.covers(role):
        raise insufficient_role(own, role, f"the workspace {workspace!r}")
    return issue(session, keys, found, role=role, days=days, created_by=actor.user_id)


def issue(session: Session, keys: Keys, workspace: Workspace, *, role: Role, days: int = DEFAULT_DAYS, created_by: int | None) -> Invited:
    """Make an invitation; ``created_by`` ``None``: the operator's, which nobody's role limits."""
    secret, expires_at = tokens.mint(INVITATION), now() + timedelta(days=days)
    session.add(
        Invitation(
            digest=tokens.digest(keys.tokens[0], secret),
            workspace_id=workspace.id,
            role=role.value,
            created_by=created_by,
            expires_at=expires_at,
        )
    )
    session.flush()
    return Invited(secret, role, workspace.name, expires_at)


def accept(session: Session, keys: Keys, text: str, user_id: int) -> Joined:
    """Use an invitation up: the user becomes a member, or their role rises. Answers what they are now.

    Raises:
        NotFound: there is no such invitation, or it was used, or it has expired, or its maker may not invite any more.
    """
    invitation, workspace = _usable(session, keys, text)
    invitation.used_by = user_id
    role = accounts.join(session, user_id, workspace.id, Role(invitation.role))
    return Joined(workspace.id, workspace.name, role)


def require_usable(session: Session, keys: Keys, text: str) -> None:
    """A look before the work: whoever has no invitation learns nothing else.

    Raises:
        NotFound: as ``accept``.
    """
    _usable(session, keys, text)


def _usable(session: Session, keys: Keys, text: str) -> tuple[Invitation, Workspace]:
    try:
        secret = tokens.parse(text, INVITATION)
    except TokenMalformed as error:  # it comes in a body: no 401
        raise NotFound(f"there is no such invitation: {error}") from None
    digests = [tokens.digest(pepper, secret) for pepper in keys.tokens]
    found = session.scalar(select(Invitation).where(Invitation.digest.in_(digests)).with_for_update())
    workspace = session.get_one(Workspace, found.workspace_id, with_for_update=True) if found is not None else None
    if (
        found is None
        or workspace is None
        or workspace.deleted_at is not None
        or found.used_by is not None
        or found.expires_at <= now()
        or not _still_given(session, found)
    ):
        raise NotFound("there is no such invitation: it was never made, was used, has expired, or was taken back; ask for a new one")
    return found, workspace


def _still_given(session: Session, invitation: Invitation) -> bool:
    if invitation.created_by is None:
        return True
    maker = session.get_one(User, invitation.created_by)
    member = session.get(Member, (invitation.workspace_id, maker.id))
    role = held(member.role if member else None, is_admin=maker.is_admin)
    return maker.disabled_at is None and role is not None and role.covers(MAY_INVITE) and role.covers(Role(invitation.role))
