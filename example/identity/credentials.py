"""Credentials: from an Authorization header to a verified actor.

Bearer, Token and Basic (user ``__token__``) end in one function. Finding the row is I/O and may be cached by the caller; verifying is pure.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.orm import Session

from example.errors import IpNotAllowed, TokenExpired, TokenInvalid, TokenMalformed, TokenRevoked
from example.identity import tokens
from example.identity.actor import Actor
from example.identity.patterns import address_allowed
from example.identity.scopes import closure
from example.models import Token, User

_ABSENT = b"\0" * 32
_BY_PUBLIC_ID = (
    select(
        Token.id,
        Token.public_id,
        Token.digest,
        Token.workspace_id,
        Token.scopes,
        Token.resources,
        Token.allowed_ips,
        Token.expires_at,
        Token.revoked_at,
        Token.last_used_at,
        User.id.label("user_id"),
        User.username,
        User.is_admin,
        User.disabled_at,
    )
    .join(User, User.id == Token.owner_id)
    .where(Token.public_id == bindparam("public_id"))
)


@dataclass(frozen=True)
class TokenRecord:
    """A token's row as the gate needs it; ``actor`` is who it proves, once the secret has been compared."""

    digest: bytes
    expires_at: datetime
    revoked_at: datetime | None
    disabled_at: datetime | None
    last_used_at: datetime | None
    actor: Actor


def parse_authorization(header: str) -> tokens.Secret:
    """The token in an Authorization header (RFC 9110; ``Token`` as the first clients sent it, Basic as pip and twine do).

    Raises:
        TokenMalformed: an unknown scheme, or no token in it.
    """
    scheme, _, value = header.strip().partition(" ")
    value = value.strip()
    match scheme.lower():
        case "bearer" | "token":
            return tokens.parse(value)
        case "basic":
            return tokens.parse(_basic_password(value))
        case _:
            raise TokenMalformed(f"the Authorization scheme {scheme[:20]!r} is not supported; send: Authorization: Bearer pm_pat_…")


def _basic_password(value: str) -> str:
    try:
        user, separator, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:  # not ASCII, not base64, not UTF-8
        raise TokenMalformed("the Basic credentials are not base64 of user:password") from None
    if not separator or user != "__token__":
        raise TokenMalformed("with Basic, the user name is __token__ and the password is the token")
    return password


def find_token(connection: Connection | Session, public_id: str) -> TokenRecord | None:
    """The token with this public id, whatever its state."""
    row = connection.execute(_BY_PUBLIC_ID, {"public_id": public_id}).first()
    if row is None:
        return None
    scopes = tuple(row.scopes)
    actor = Actor(
        user_id=row.user_id,
        username=row.username,
        is_admin=row.is_admin,
        workspace_id=row.workspace_id,
        token_id=row.id,
        token_prefix=tokens.prefix(row.public_id),
        token_scopes=scopes,
        scopes=closure(scopes),
        resources=tuple(row.resources),
        allowed_ips=tuple(row.allowed_ips),
        token_expires_at=row.expires_at,
    )
    return TokenRecord(row.digest, row.expires_at, row.revoked_at, row.disabled_at, row.last_used_at, actor)


def verify(record: TokenRecord | None, secret: tokens.Secret, *, pepper: bytes, address: str | None, moment: datetime) -> Actor:
    """Prove that ``secret`` is the token of ``record`` and may be used now, from ``address``.

    An unknown id costs the same comparison as a wrong secret. Expired and revoked are said only to who knows the secret.

    Raises:
        TokenInvalid, TokenRevoked, TokenExpired, IpNotAllowed.
    """
    matching = hmac.compare_digest(record.digest if record else _ABSENT, tokens.digest(pepper, secret))
    if record is None or not matching:
        raise TokenInvalid(f"no valid token {tokens.prefix(secret.public_id)}…: it was never issued here, or the secret is wrong")
    actor = record.actor
    if record.revoked_at is not None or record.disabled_at is not None:
        raise TokenRevoked(f"the token {actor.token_prefix}… was revoked; create a new one")
    if record.expires_at <= moment:
        raise TokenExpired(f"the token {actor.token_prefix}… expired at {record.expires_at:%Y-%m-%d %H:%M} UTC; create a new one")
    if not address_allowed(actor.allowed_ips, address):
        raise IpNotAllowed(f"the token {actor.token_prefix}… may not be used from {address or 'an unknown address'}", your_ip=address)
    return actor
