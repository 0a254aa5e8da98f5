"""Registration: somebody makes their own account, and it gets what the registration rule or an invitation says."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from example.identity import accounts, invitations
from example.identity.accounts import NewAccount, Registration
from example.identity.keys import Keys
from example.identity.roles import Role
from example.models import User, Workspace
from example.models.schema import DEFAULT_WORKSPACE

ROLE_OF_EVERYBODY = Role.DEVELOPER


def register(session: Session, keys: Keys, account: NewAccount, *, rule: Registration, invitation: str | None = None) -> User:
    """Make an account: with an invitation a member of its workspace; where registration is open, a developer of ``default`` too.

    Raises:
        Forbidden: this installation doesn't let people make their own account.
        AccountExists: the user name or the address is taken.
        NotFound: the invitation is none that can be used.
    """
    accounts.require_open(rule, invited=invitation is not None)
    user = accounts.create(session, account)
    if invitation is not None:
        invitations.accept(session, keys, invitation, user.id)
    if rule == "open":
        default = session.scalars(select(Workspace.id).where(Workspace.name == DEFAULT_WORKSPACE)).one()
        accounts.join(session, user.id, default, ROLE_OF_EVERYBODY)
    return user
