"""Everybody's accounts and tokens, as the operator on the server's own machine sees them. Nothing of this is reached over the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from example.errors import Conflict, NotFound
from example.identity import issuing, tokens
from example.identity.accounts import Membership, memberships
from example.identity.issuing import IssuedToken, TokenRequest
from example.models import Member, Token, User, Workspace, now

State = Literal["active", "expired", "revoked"]


@dataclass(frozen=True)
class AccountRow:
    """An account in a list."""

    id: int
    username: str
    email: str | None
    is_admin: bool
    has_password: bool
    created_at: datetime
    disabled_at: datetime | None
    workspaces: list[Membership]


@dataclass(frozen=True)
class TokenRow:
    """A token in a list; ``state`` is what a request with it would meet, the owner's account aside."""

    id: int
    prefix: str
    name: str
    owner: str
    workspace: str
    state: State
    scopes: list[str]
    resources: list[str]
    allowed_ips: list[str]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    last_used_ip: str | None


@dataclass(frozen=True)
class Cleanup:
    """What a clean-up did: the tokens that it revoked, and how many have expired by themselves."""

    revoked: list[TokenRow]
    expired: int


def list_accounts(session: Session) -> list[AccountRow]:
    """Every account, by name."""
    return [
        AccountRow(
            user.id,
            user.username,
            user.email,
            user.is_admin,
            user.password_hash is not None,
            user.created_at,
            user.disabled_at,
            memberships(session, user.id),
        )
        for user in session.scalars(select(User).order_by(User.username))
    ]


def find_workspace(session: Session, name: str) -> Workspace:
    """The workspace of this name.

    Raises:
        NotFound.
    """
    found = session.scalar(select(Workspace).where(Workspace.name == name, Workspace.deleted_at.is_(None)))
    if found is None:
        raise NotFound(f"there is no workspace {name!r}; check the name")
    return found


def list_tokens(session: Session, *, owner: str | None = None, workspace: str | None = None, all_states: bool = False) -> list[TokenRow]:
    """Tokens by id; those that work, or ``all_states``."""
    wanted: list[ColumnElement[bool]] = [] if all_states else [Token.revoked_at.is_(None), Token.expires_at > now()]
    if owner is not None:
        wanted.append(User.username == owner.lower())
    if workspace is not None:
        wanted.append(Workspace.name == workspace)
    return _rows(session, *wanted)


def show_token(session: Session, token_id: int) -> TokenRow:
    """One token.

    Raises:
        NotFound.
    """
    found = _rows(session, Token.id == token_id)
    if not found:
        raise NotFound(f"there is no token {token_id}; list them with example-admin tokens list --all")
    return found[0]


def create_token(session: Session, pepper: bytes, user: User, workspace: Workspace, request: TokenRequest) -> IssuedToken:
    """A token of somebody's, who does not ask for it themselves: every scope unless ``request`` names fewer.

    Raises:
        Conflict: they may do nothing in the workspace.
        Invalid: ``allowed_ips`` holds something else than addresses and networks.
    """
    if not user.is_admin and session.get(Member, (workspace.id, user.id)) is None:
        raise Conflict(f"{user.username!r} is no member of the workspace {workspace.name!r}, so a token there could do nothing")
    return issuing.issue_first(session, pepper, workspace_id=workspace.id, user_id=user.id, request=request)


def revoke_token(session: Session, token_id: int) -> TokenRow:
    """End a token at once. Doing it again changes nothing.

    Raises:
        NotFound.
    """
    found = session.scalar(select(Token).where(Token.id == token_id).with_for_update())
    if found is not None:
        found.revoked_at = found.revoked_at or now()
        session.flush()
    return show_token(session, token_id)


def clean_up(session: Session) -> Cleanup:
    """Revoke what works no more and could come to life again: tokens of disabled users and in deleted workspaces. Rows stay."""
    lost = or_(User.disabled_at.is_not(None), Workspace.deleted_at.is_not(None))
    dead = _rows(session, lost, Token.revoked_at.is_(None), Token.expires_at > now())
    revoked = [revoke_token(session, row.id) for row in dead]
    expired = select(func.count()).select_from(Token).where(Token.revoked_at.is_(None), Token.expires_at <= now())
    return Cleanup(revoked, session.scalar(expired) or 0)


def _rows(session: Session, *wanted: ColumnElement[bool]) -> list[TokenRow]:
    query = select(Token, User.username, Workspace.name).join(User, User.id == Token.owner_id)
    found: Sequence[tuple[Token, str, str]] = [
        (row[0], row[1], row[2])
        for row in session.execute(query.join(Workspace, Workspace.id == Token.workspace_id).where(*wanted).order_by(Token.id))
    ]
    return [_row(token, owner, workspace) for token, owner, workspace in found]


def _row(token: Token, owner: str, workspace: str) -> TokenRow:
    state: State = "revoked" if token.revoked_at is not None else "expired" if token.expires_at <= now() else "active"
    return TokenRow(
        id=token.id,
        prefix=tokens.prefix(token.public_id),
        name=token.name,
        owner=owner,
        workspace=workspace,
        state=state,
        scopes=token.scopes,
        resources=token.resources,
        allowed_ips=token.allowed_ips,
        created_at=token.created_at,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
        last_used_at=token.last_used_at,
        last_used_ip=token.last_used_ip,
    )
