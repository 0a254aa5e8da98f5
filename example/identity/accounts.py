"""Accounts: who may make one, what a user name and an address look like, and the verbs on them.

Hashes come in ready-made (passwords.py): computing one inside a transaction would hold up every writer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from example.db import insert_for
from example.errors import AccountExists, Forbidden, Invalid, LoginFailed, NotFound
from example.identity import sessions
from example.identity.roles import Role
from example.models import Member, User, Workspace, now

Registration = Literal["open", "invite", "closed"]

SHORTEST_NAME, LONGEST_NAME = 3, 32
LONGEST_ADDRESS = 254
USERNAME_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
ADDRESS_PATTERN = rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*$"
"""A valid e-mail address as HTML's ``<input type=email>`` takes it (WHATWG HTML, "valid e-mail address")."""
RESERVED = frozenset({"me", "admin", "administrator", "local", "root", "system", "anonymous", "__token__", "default"})


@dataclass(frozen=True)
class NewAccount:
    """What somebody wants to be called, checked; names and addresses are kept in lower case.

    Raises:
        Invalid: no user name, or no address.
        AccountExists: the user name is the service's own.
    """

    username: str
    email: str
    password_hash: str | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "username", checked_name(self.username))
        object.__setattr__(self, "email", checked_address(self.email))


@dataclass(frozen=True)
class Credentials:
    """What a log-in is checked against."""

    user_id: int
    username: str
    password_hash: str | None


@dataclass(frozen=True)
class Membership:
    """A workspace that somebody is a member of, and as what."""

    name: str
    role: Role


@dataclass(frozen=True)
class PublicAccount:
    """What everybody may see of a user."""

    username: str
    created_at: datetime


@dataclass(frozen=True)
class Account(PublicAccount):
    """What users see of themselves."""

    id: int
    email: str | None
    is_admin: bool
    workspaces: list[Membership]


def checked_name(text: str) -> str:
    """The user name as it is kept.

    Raises:
        Invalid: too short, too long, or of other characters.
        AccountExists: it is the service's own.
    """
    if not SHORTEST_NAME <= len(text) <= LONGEST_NAME or re.fullmatch(USERNAME_PATTERN, text) is None:
        said = f"a user name has {SHORTEST_NAME} to {LONGEST_NAME} letters and digits, with . _ - between them"
        raise Invalid("username", f"{said}, and {text[: LONGEST_NAME + 1]!r} can't be one")
    name = text.lower()
    if name in RESERVED:
        raise AccountExists(f"the user name {name!r} is the service's own; choose another", field="username")
    return name


def checked_address(text: str) -> str:
    """The e-mail address as it is kept.

    Raises:
        Invalid: it is none.
    """
    if len(text) > LONGEST_ADDRESS or re.fullmatch(ADDRESS_PATTERN, text) is None:
        raise Invalid("email", f"{text[:LONGEST_ADDRESS]!r} is not an e-mail address; one looks like alice@example.com")
    return text.lower()


def require_open(rule: Registration, *, invited: bool) -> None:
    """Raises:
    Forbidden: this installation doesn't let people make their own account; says who makes it.
    """
    if rule == "open" or invited:
        return
    raise Forbidden(
        f"registration is {'by invitation' if rule == 'invite' else 'closed'} here: ask a maintainer of a workspace for an invitation, "
        "or the operator, who makes accounts with example-admin users create"
    )


def create(session: Session, account: NewAccount, *, is_admin: bool = False) -> User:
    """Make an account, a member of nothing yet.

    Raises:
        AccountExists: the user name or the address is taken; ``field`` says which.
    """
    user = User(username=account.username, email=account.email, password_hash=account.password_hash, is_admin=is_admin)
    try:
        with session.begin_nested():
            session.add(user)
    except IntegrityError:
        if session.scalar(select(User.id).where(User.username == account.username)) is None:
            raise _address_taken(account.email) from None
        raise AccountExists(f"the user name {account.username!r} is taken; choose another, or log in", field="username") from None
    return user


def _address_taken(email: str) -> AccountExists:
    return AccountExists(f"there is an account with the address {email} already; log in, or use another", field="email")


def join(session: Session, user_id: int, workspace_id: int, role: Role) -> Role:
    """Make a user a member, or raise their role to ``role``; nobody loses anything by it. Answers the role that they have now."""
    insert = insert_for(session)(Member).values(workspace_id=workspace_id, user_id=user_id, role=role.value, created_at=now())
    session.execute(insert.on_conflict_do_nothing())
    member = session.get_one(Member, (workspace_id, user_id), with_for_update=True, populate_existing=True)
    if not Role(member.role).covers(role):
        member.role = role.value
    return Role(member.role)


def find_credentials(session: Connection | Session, name_or_address: str) -> Credentials | None:
    """What to check a log-in against; an address has an @, which no user name has."""
    wanted = name_or_address.lower()
    column = User.email if "@" in wanted else User.username
    row = session.execute(select(User.id, User.username, User.password_hash).where(column == wanted)).first()
    return Credentials(row.id, row.username, row.password_hash) if row is not None else None


def lock_verified(session: Session, user_id: int, password_hash: str | None) -> User:
    """The user whose password was just verified against ``password_hash``; nobody else changes them until this transaction ends.

    Raises:
        LoginFailed: the password was changed meanwhile.
        Forbidden: the account is disabled.
    """
    user = session.get_one(User, user_id, with_for_update=True, populate_existing=True)
    if user.password_hash != password_hash:
        raise login_failed()
    if user.disabled_at is not None:
        raise Forbidden("this account is disabled; ask an administrator, who enables it with example-admin users enable")
    return user


def login_failed() -> LoginFailed:
    """The one answer for a user who isn't there, one without a password, and a wrong password."""
    return LoginFailed("no account has this name and password; check both")


def set_email(session: Session, user: User, email: str) -> None:
    """Change the address.

    Raises:
        Invalid: it is none.
        AccountExists: somebody else has it.
    """
    wanted = checked_address(email)
    try:
        with session.begin_nested():
            user.email = wanted
    except IntegrityError:
        raise _address_taken(wanted) from None


def set_password(session: Session, user: User, password_hash: str, *, keep_session: int | None = None) -> None:
    """Change the password and end the user's sessions but ``keep_session``. Personal access tokens stay."""
    user.password_hash = password_hash
    session.flush()  # before the sessions: a log-in with the old password waits here for the row, and then fails
    sessions.end_all(session, user.id, but=keep_session)


def disable(session: Session, user: User) -> None:
    """Refuse everything that the user brings, from the next request on, and end their sessions. Doing it again changes nothing."""
    user.disabled_at = user.disabled_at or now()
    session.flush()
    sessions.end_all(session, user.id)


def enable(user: User) -> None:
    """Let a disabled user in again, with the personal access tokens that were not revoked meanwhile."""
    user.disabled_at = None


def find(session: Session, name: str, *, lock: bool = False) -> User:
    """The user of this name.

    Raises:
        NotFound.
    """
    query = select(User).where(User.username == name.lower())
    user = session.scalar(query.with_for_update() if lock else query)
    if user is None:
        raise NotFound(f"there is no user {name[:LONGEST_NAME]!r}; check the name")
    return user


def view(user: User) -> PublicAccount:
    """The user as others see them."""
    return PublicAccount(user.username, user.created_at)


def own_view(session: Session, user_id: int) -> Account:
    """The user as they see themselves."""
    user = session.get_one(User, user_id)
    return Account(user.username, user.created_at, user.id, user.email, user.is_admin, memberships(session, user_id))


def memberships(session: Session, user_id: int) -> list[Membership]:
    """The workspaces of a user by name."""
    rows = session.execute(
        select(Workspace.name, Member.role)
        .join(Member, Member.workspace_id == Workspace.id)
        .where(Member.user_id == user_id, Workspace.deleted_at.is_(None))
        .order_by(Workspace.name)
    )
    return [Membership(row.name, Role(row.role)) for row in rows]
