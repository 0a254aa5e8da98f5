"""Sessions: begun by a log-in, kept up by refresh tokens that change at each use, ended by a log-out, by the owner's password, or by theft.

The access token that goes with each step is ``access_tokens.py``'s; how a request proves a session, ``credentials.py``'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session

from example.errors import TokenExpired, TokenInvalid, TokenRevoked
from example.identity import access_tokens, tokens
from example.identity.keys import Keys
from example.identity.tokens import REFRESH, Secret
from example.models import LoginSession, User, now

LIFETIME = timedelta(days=30)
AGENT_LENGTH = 200


@dataclass(frozen=True)
class Grant:
    """What a log-in and each refresh give: an access token until ``expires_at``, and the refresh token for the next."""

    user_id: int
    username: str
    token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class Theft:
    """A refresh token came that is not the session's present one, so two have it: the session was ended. ``reused``: it once was."""

    user_id: int
    username: str
    reused: bool


def start(session: Session, keys: Keys, user: User, *, address: str | None, agent: str | None) -> Grant:
    """Begin a session of ``user``, whose row the caller has locked."""
    secret = tokens.mint(REFRESH)
    begun = LoginSession(
        sid=secret.public_id,
        user_id=user.id,
        refresh_digest=tokens.digest(keys.tokens[0], secret),
        expires_at=now() + LIFETIME,
        address=address,
        agent=(agent or "")[:AGENT_LENGTH] or None,
    )
    session.add(begun)
    session.flush()
    return _grant(keys, begun, user, secret)


def refresh(session: Session, keys: Keys, text: str) -> Grant | Theft:
    """Exchange a refresh token: it is used up, and the answer holds the next. Theft is an answer, so that the end of the session commits.

    Whoever knows the id of a session had one of its tokens; so any other token for it than the present one ends it, also one that is
    several exchanges old, and one of two requests that exchange the same token at once.

    Raises:
        TokenMalformed, TokenInvalid: no refresh token that was ever given out.
        TokenRevoked, TokenExpired: the session is over.
    """
    secret = tokens.parse(text, REFRESH)
    found = session.scalar(select(LoginSession).where(LoginSession.sid == secret.public_id).with_for_update())
    present = tokens.is_digest(found.refresh_digest if found else None, keys.tokens, secret)
    past = tokens.is_digest(found.previous_digest if found else None, keys.tokens, secret)
    if found is None or (found.ended_at is not None and not (present or past)):
        raise TokenInvalid("there is no such session; log in with POST /api/v1/auth/login")
    user, moment = session.get_one(User, found.user_id), now()
    if found.ended_at is not None or user.disabled_at is not None:
        raise TokenRevoked("this session has ended; log in again with POST /api/v1/auth/login")
    if not present:
        found.ended_at = moment
        return Theft(user.id, user.username, reused=past)
    if found.expires_at <= moment:
        raise TokenExpired("this session has expired; log in again with POST /api/v1/auth/login")
    following = tokens.mint(REFRESH, public_id=found.sid)
    found.previous_digest, found.refresh_digest = found.refresh_digest, tokens.digest(keys.tokens[0], following)
    return _grant(keys, found, user, following)


def stolen() -> TokenRevoked:
    """What the bearer of a refresh token is told that ended its session."""
    return TokenRevoked("this refresh token was used already, so somebody else may have it: the session was ended; log in again")


def end(session: Session, session_id: int) -> None:
    """Log out. Doing it again changes nothing."""
    _end(session, LoginSession.id == session_id)


def end_all(session: Session, user_id: int, *, but: int | None = None) -> None:
    """End every session of a user, but one that may go on."""
    _end(session, LoginSession.user_id == user_id, *([LoginSession.id != but] if but is not None else []))


def purge(session: Session, before: datetime) -> None:
    """Delete sessions that were over before ``before``."""
    session.execute(delete(LoginSession).where(or_(LoginSession.ended_at < before, LoginSession.expires_at < before)))


def _end(session: Session, *which: ColumnElement[bool]) -> None:
    session.execute(update(LoginSession).where(*which, LoginSession.ended_at.is_(None)).values(ended_at=now()))


def _grant(keys: Keys, of: LoginSession, user: User, secret: Secret) -> Grant:
    token, expires_at = access_tokens.issue(keys.sessions[0], sid=of.sid, user_id=user.id, moment=now())
    return Grant(user.id, user.username, token, secret.text, expires_at)
