"""Credentials: from an Authorization header to a verified actor.

Bearer, Token and Basic (user ``__token__``) end in one function, personal access tokens and sessions in one actor. Finding the row is I/O
and may be cached by the caller; verifying is pure.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, select
from sqlalchemy.orm import Session

from example.errors import Forbidden, IpNotAllowed, NotFound, PackageMasterError, TokenExpired, TokenInvalid, TokenMalformed, TokenRevoked
from example.identity import access_tokens, tokens
from example.identity.access_tokens import Claims
from example.identity.actor import Actor, no_workspace
from example.identity.patterns import address_allowed
from example.identity.roles import held
from example.identity.scopes import TOP_SCOPES, closure
from example.models import LoginSession, Member, Token, User, Workspace

_USER = (User.id.label("user_id"), User.username, User.is_admin, User.disabled_at)
_WHERE = (Workspace.id.label("workspace_id"), Workspace.name.label("workspace"), Member.role)
_TOKEN = (
    select(Token.id, Token.public_id, Token.digest, Token.scopes, Token.resources, Token.allowed_ips, Token.expires_at, Token.revoked_at)
    .add_columns(Token.last_used_at, *_USER, *_WHERE)
    .join(User, User.id == Token.owner_id)
    .join(Workspace, Workspace.id == Token.workspace_id)
    .outerjoin(Member, and_(Member.workspace_id == Workspace.id, Member.user_id == User.id))
    .where(Token.public_id == bindparam("public_id"))
)
_SESSION = (
    select(LoginSession.id, LoginSession.expires_at, LoginSession.ended_at, *_USER, *_WHERE)
    .join(User, User.id == LoginSession.user_id)
    .outerjoin(Workspace, and_(Workspace.name == bindparam("workspace"), Workspace.deleted_at.is_(None)))
    .outerjoin(Member, and_(Member.workspace_id == Workspace.id, Member.user_id == User.id))
    .where(LoginSession.sid == bindparam("sid"))
)
_RIGHTS = (
    select(User.disabled_at, User.is_admin, Member.role)
    .outerjoin(Member, and_(Member.workspace_id == bindparam("workspace_id"), Member.user_id == User.id))
    .where(User.id == bindparam("user_id"))
)
_TOKEN_STILL = _RIGHTS.join(Token, Token.id == bindparam("id")).add_columns(Token.revoked_at.label("over"))
_SESSION_STILL = _RIGHTS.join(LoginSession, LoginSession.id == bindparam("id")).add_columns(LoginSession.ended_at.label("over"))
_EVERY_SCOPE = tuple(scope.value for scope in TOP_SCOPES)


@dataclass(frozen=True)
class TokenRecord:
    """A token's row as the gate needs it; ``actor`` is who it proves, once the secret has been compared."""

    digest: bytes
    expires_at: datetime
    revoked_at: datetime | None
    disabled_at: datetime | None
    last_used_at: datetime | None
    actor: Actor


@dataclass(frozen=True)
class SessionRecord:
    """A session's row; ``actor`` is ``None`` where the workspace isn't there."""

    expires_at: datetime
    ended_at: datetime | None
    disabled_at: datetime | None
    user_id: int
    actor: Actor | None


def parse_authorization(header: str, session_keys: Sequence[bytes]) -> tokens.Secret | Claims:
    """The credential in an Authorization header (RFC 9110; ``Token`` as the first clients sent it, Basic as pip and twine do).

    Raises:
        TokenMalformed: an unknown scheme, or no credential in it.
        TokenInvalid, TokenExpired: a session's access token that can't be used any more.
    """
    scheme, _, value = header.strip().partition(" ")
    value = value.strip()
    match scheme.lower():
        case "bearer" | "token":
            text = value
        case "basic":
            text = _basic_password(value)
        case _:
            raise TokenMalformed(f"the Authorization scheme {scheme[:20]!r} is not supported; send: Authorization: Bearer pm_pat_…")
    return access_tokens.read(session_keys, text) if access_tokens.looks_like_one(text) else tokens.parse(text)


def _basic_password(value: str) -> str:
    try:
        user, separator, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:  # not ASCII, not base64, not UTF-8
        raise TokenMalformed("the Basic credentials are not base64 of user:password") from None
    if not separator or user != "__token__":
        raise TokenMalformed("with Basic, the user name is __token__ and the password is the token")
    return password


def find_token(connection: Connection | Session, public_id: str) -> TokenRecord | None:
    """The token with this public id, whatever its state, and its owner's role in its workspace."""
    row = connection.execute(_TOKEN, {"public_id": public_id}).first()
    if row is None:
        return None
    prefix = tokens.prefix(row.public_id)
    scopes = tuple(row.scopes)
    actor = replace(
        _actor(row, scopes),
        credential="pat",
        label=f"token {prefix}…",
        token_prefix=prefix,
        token_id=row.id,
        resources=tuple(row.resources),
        allowed_ips=tuple(row.allowed_ips),
    )
    return TokenRecord(row.digest, row.expires_at, row.revoked_at, row.disabled_at, row.last_used_at, actor)


def find_session(connection: Connection | Session, sid: str, workspace: str) -> SessionRecord | None:
    """The session, whatever its state, acting in the workspace of this name."""
    row = connection.execute(_SESSION, {"sid": sid, "workspace": workspace}).first()
    if row is None:
        return None
    actor = replace(_actor(row, _EVERY_SCOPE), session_id=row.id) if row.workspace_id is not None else None
    return SessionRecord(row.expires_at, row.ended_at, row.disabled_at, row.user_id, actor)


def _actor(row: Row[*tuple[Any, ...]], scopes: tuple[str, ...]) -> Actor:
    return Actor(
        user_id=row.user_id,
        username=row.username,
        is_admin=row.is_admin,
        workspace_id=row.workspace_id,
        workspace=row.workspace,
        role=held(row.role, is_admin=row.is_admin),
        credential="session",
        label=f"session of {row.username}",
        token_id=None,
        token_prefix=None,
        session_id=None,
        token_scopes=scopes,
        scopes=closure(scopes),
        resources=(),
        allowed_ips=(),
        expires_at=row.expires_at,
    )


def verify(
    record: TokenRecord | None,
    secret: tokens.Secret,
    *,
    peppers: Sequence[bytes],
    workspace: str | None,
    address: str | None,
    moment: datetime,
) -> Actor:
    """Prove that ``secret`` is the token of ``record`` and may be used now, from ``address``, in ``workspace`` (``None``: its own).

    An unknown id costs the same comparison as a wrong secret. Expired and revoked are said only to who knows the secret.

    Raises:
        TokenInvalid, TokenRevoked, TokenExpired, IpNotAllowed.
        NotFound: another workspace than the token's.
    """
    if not tokens.is_digest(record.digest if record else None, peppers, secret) or record is None:
        raise TokenInvalid(
            f"no valid token {tokens.prefix(secret.public_id)}…: it was never issued here, the secret is wrong, or SECRET_KEY has changed"
        )
    with _naming(record.actor):
        return _usable(record, workspace=workspace, address=address, moment=moment)


@contextmanager
def _naming(actor: Actor | None) -> Iterator[None]:
    """What is refused from here on, is refused to ``actor``: their credential was proven."""
    try:
        yield
    except PackageMasterError as refusal:
        refusal.actor = actor
        raise


def _usable(record: TokenRecord, *, workspace: str | None, address: str | None, moment: datetime) -> Actor:
    actor = record.actor
    if record.revoked_at is not None or record.disabled_at is not None:
        raise TokenRevoked(f"the {actor.label} was revoked; create a new one")
    if record.expires_at <= moment:
        raise TokenExpired(f"the {actor.label} expired at {record.expires_at:%Y-%m-%d %H:%M} UTC; create a new one")
    if not address_allowed(actor.allowed_ips, address):
        raise IpNotAllowed(f"the {actor.label} may not be used from {address or 'an unknown address'}", your_ip=address)
    if workspace is not None and workspace != actor.workspace:
        raise NotFound(f"the {actor.label} acts in the workspace {actor.workspace!r} only, and sees no {workspace[:64]!r}; make one there")
    if workspace is not None and actor.role is None:
        raise no_workspace(workspace)
    return actor


def verify_session(record: SessionRecord | None, claims: Claims, *, workspace: str | None, moment: datetime) -> Actor:
    """Prove that the session that ``claims`` name goes on, and that its user may see ``workspace`` (``None``: ``default``).

    Raises:
        TokenInvalid, TokenRevoked, TokenExpired.
        NotFound: no such workspace.
    """
    if record is None or record.user_id != claims.user_id:
        raise TokenInvalid("there is no such session; log in again with POST /api/v1/auth/login")
    with _naming(record.actor):
        return _going_on(record, workspace=workspace, moment=moment)


def _going_on(record: SessionRecord, *, workspace: str | None, moment: datetime) -> Actor:
    if record.ended_at is not None or record.disabled_at is not None:
        raise TokenRevoked("this session has ended; log in again with POST /api/v1/auth/login")
    if record.expires_at <= moment:
        raise TokenExpired("this session has expired; log in again with POST /api/v1/auth/login")
    if record.actor is None or (workspace is not None and record.actor.role is None):
        raise no_workspace(workspace or "default")
    return record.actor


def require_still(session: Session, actor: Actor) -> None:
    """For changes, in their transaction: what was true when the headers came may be over when the body has come at last.

    Raises:
        TokenRevoked: the credential has ended.
        Forbidden: the actor's rights have changed.
    """
    wanted = {"user_id": actor.user_id, "workspace_id": actor.workspace_id, "id": actor.token_id or actor.session_id}
    row = session.execute(_TOKEN_STILL if actor.token_id is not None else _SESSION_STILL, wanted).one()
    if row.over is not None or row.disabled_at is not None:
        raise TokenRevoked(f"the {actor.label} has ended while the request was under way")
    if (row.is_admin, held(row.role, is_admin=row.is_admin)) != (actor.is_admin, actor.role):
        raise Forbidden("your rights have changed while the request was under way; send it again")
