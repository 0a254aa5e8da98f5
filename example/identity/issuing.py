"""The verbs on tokens: issue, regenerate, revoke, limit, list. A token never gives more than the token that asks for it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from example.errors import Conflict, Forbidden, InsufficientScope, Invalid, IpNotAllowed, NotFound, ResourceNotInToken
from example.identity import patterns, tokens, workspaces
from example.identity.actor import Actor
from example.identity.roles import granted
from example.identity.scopes import TOP_SCOPES, Scope, closure, highest
from example.models import Token, Workspace, now

DEFAULT_DAYS = 90
LONGEST_DAYS = 366
LONGEST_OVERLAP_HOURS = 24


@dataclass(frozen=True)
class TokenRequest:
    """What a new token shall be. ``None`` means: as the asking token (scopes, resources, networks), 90 days."""

    name: str = "token"
    scopes: tuple[Scope, ...] | None = None
    resources: tuple[str, ...] | None = None
    expires_in_days: int | None = None
    allowed_ips: tuple[str, ...] | None = None


@dataclass(frozen=True)
class IssuedToken:
    """A token's row together with its secret, which is shown this once."""

    token: Token
    secret: tokens.Secret


def issue(session: Session, actor: Actor, pepper: bytes, request: TokenRequest) -> IssuedToken:
    """Create a token for the actor, within what the actor's own token has.

    Raises:
        InsufficientScope: it asks for scopes that the asking token lacks.
        ResourceNotInToken, IpNotAllowed, Forbidden: it asks for resources, networks or a lifetime beyond what the asking token or the
            workspace allows.
        Invalid: what it asks for is no network.
        NotFound: somebody has just deleted the workspace.
    """
    scopes = request.scopes if request.scopes is not None else _own_scopes(actor)
    missing = sorted(closure(scopes) - actor.scopes)
    if missing:
        raise InsufficientScope(
            f"a token can't give more than it has: {', '.join(missing)} is beyond the {actor.label}",
            required_scope=missing[0].value,
            your_scopes=list(actor.token_scopes),
        )
    resources = request.resources if request.resources is not None else actor.resources
    if not patterns.within(resources, actor.resources):
        raise ResourceNotInToken(
            f"a token can't give more than it has: yours is limited to the resources {', '.join(actor.resources)}",
            your_resources=list(actor.resources),
        )
    networks = request.allowed_ips if request.allowed_ips is not None else actor.allowed_ips
    _check_networks(networks, actor)
    expires_at = _expiry(session, request.expires_in_days, actor)
    issued = _insert(
        session,
        pepper,
        Token(
            workspace_id=actor.workspace_id,
            owner_id=actor.user_id,
            name=request.name,
            scopes=[scope.value for scope in scopes],
            resources=list(resources),
            allowed_ips=list(networks),
            created_by=actor.user_id,
            expires_at=expires_at,
        ),
    )
    workspaces.require_open(session, actor)
    return issued


def issue_first(session: Session, pepper: bytes, *, workspace_id: int, user_id: int, request: TokenRequest) -> IssuedToken:
    """Create a token with nobody asking: the first one. Every scope unless ``request`` names fewer.

    Raises:
        Invalid: ``allowed_ips`` holds something else than addresses and networks.
    """
    _check_syntax(request.allowed_ips or ())
    scopes = request.scopes if request.scopes is not None else TOP_SCOPES
    return _insert(
        session,
        pepper,
        Token(
            workspace_id=workspace_id,
            owner_id=user_id,
            name=request.name,
            scopes=[scope.value for scope in scopes],
            resources=list(request.resources or ()),
            allowed_ips=list(request.allowed_ips or ()),
            created_by=None,
            expires_at=now() + timedelta(days=request.expires_in_days or DEFAULT_DAYS),
        ),
    )


def regenerate(session: Session, actor: Actor, pepper: bytes, token_id: int, *, overlap_hours: int = 0) -> IssuedToken:
    """Give a token a new secret, with the same name, limits and length of life. The old secret dies at once, or after ``overlap_hours`` ≤
    24.

    Raises:
        NotFound: no such token of the actor's.
        Conflict: it was revoked or regenerated already.
        InsufficientScope: it has more than the asking token.
    """
    old = find(session, actor, token_id, lock=True)
    _require_covered(old, actor)
    successor = session.scalar(select(Token.id).where(Token.rotated_from == token_id))  # seen, because whoever made it held the lock
    if old.revoked_at is not None or successor is not None:
        raise Conflict(f"token {token_id} was revoked or regenerated already; create a new one")
    moment = now()
    fresh = Token(
        workspace_id=old.workspace_id,
        owner_id=old.owner_id,
        name=old.name,
        scopes=old.scopes,
        resources=old.resources,
        allowed_ips=old.allowed_ips,
        created_by=actor.user_id,
        expires_at=_renewed_until(old, actor, moment),
        rotated_from=old.id,
    )
    if overlap_hours:
        old.expires_at = min(old.expires_at, moment + timedelta(hours=overlap_hours))
    else:
        old.revoked_at, old.revoked_by = moment, actor.user_id
    return _insert(session, pepper, fresh)


def set_allowed_ips(session: Session, actor: Actor, token_id: int, networks: Sequence[str]) -> Token:
    """Limit a token to ``networks`` (none: no limit), within the asking token's own.

    Raises:
        NotFound, Invalid, IpNotAllowed.
        InsufficientScope: it has more than the asking token.
    """
    token = find(session, actor, token_id, lock=True)
    _require_covered(token, actor)
    _check_networks(networks, actor)
    token.allowed_ips = list(networks)
    return token


def revoke(session: Session, actor: Actor, token_id: int) -> None:
    """End a token at once. Revoking it again changes nothing.

    Raises:
        NotFound: no such token of the actor's.
    """
    token = find(session, actor, token_id)
    if token.revoked_at is None:
        token.revoked_at, token.revoked_by = now(), actor.user_id


def revoke_others(session: Session, actor: Actor) -> None:
    """End every token of the actor's but the one in use."""
    others = _owned(actor), Token.revoked_at.is_(None), *([Token.id != actor.token_id] if actor.token_id is not None else [])
    session.execute(update(Token).where(*others).values(revoked_at=now(), revoked_by=actor.user_id))


def find(session: Session, actor: Actor, token_id: int, *, lock: bool = False) -> Token:
    """One token of the actor's; with ``lock`` nobody else changes it until this transaction ends.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    query = select(Token).where(_owned(actor), Token.id == token_id)
    token = session.scalar(query.with_for_update() if lock else query)
    if token is None:
        raise NotFound(f"there is no token {token_id} of yours; list them with GET /api/v1/tokens")
    return token


def page(session: Session, actor: Actor, *, limit: int, after: int) -> Sequence[Token]:
    """The actor's tokens by id, those after ``after``, at most ``limit``."""
    return session.scalars(select(Token).where(_owned(actor), Token.id > after).order_by(Token.id).limit(limit)).all()


def total(session: Session, actor: Actor) -> int:
    """How many tokens the actor has, revoked ones included."""
    return int(session.scalar(select(func.count()).select_from(Token).where(_owned(actor))) or 0)


def record_use(session: Session, token_id: int, *, digest: bytes, address: str | None, agent: str | None, moment: datetime) -> None:
    """Note when and from where a token was used; at most once a minute, however many processes ask. ``digest`` is its digest under the
    present pepper: after a rotation of SECRET_KEY it takes the place of the old one's.
    """
    stale = Token.last_used_at.is_(None) | (Token.last_used_at < moment - timedelta(minutes=1))
    values = {"last_used_at": moment, "last_used_ip": address, "last_used_agent": (agent or "")[:200] or None, "digest": digest}
    session.execute(update(Token).where(Token.id == token_id, stale).values(values))


def _owned(actor: Actor) -> ColumnElement[bool]:
    return (Token.owner_id == actor.user_id) & (Token.workspace_id == actor.workspace_id)


def _require_covered(token: Token, actor: Actor) -> None:
    """A token may be renewed, and its networks be changed, by itself and by tokens that have at least as much."""
    if token.id == actor.token_id:
        return
    missing = sorted(closure(token.scopes) - actor.scopes)
    limited = patterns.within(token.resources, actor.resources) and patterns.networks_within(token.allowed_ips, actor.allowed_ips)
    if missing or not limited:
        raise InsufficientScope(
            f"token {token.id} has more than the {actor.label} that asks; use that token itself",
            required_scope=missing[0].value if missing else None,
            your_scopes=list(actor.token_scopes),
        )


def _check_networks(networks: Sequence[str], actor: Actor) -> None:
    _check_syntax(networks)
    if not patterns.networks_within(networks, actor.allowed_ips):
        raise IpNotAllowed(f"a token can't give more than it has: yours is limited to the addresses {', '.join(actor.allowed_ips)}")


def _check_syntax(networks: Sequence[str]) -> None:
    for position, text in enumerate(networks):
        try:
            patterns.network(text)
        except ValueError as error:
            raise Invalid(
                f"allowed_ips.{position}", f"{text!r} is not an address or network: {error}; write 10.0.0.0/8 or 192.0.2.7"
            ) from None


def _renewed_until(old: Token, actor: Actor, moment: datetime) -> datetime:
    """As long as it was made to live, within what the workspace allows now; asked for by another token, within that one's life."""
    until = moment + min(old.expires_at - old.created_at, timedelta(days=old.workspace.longest_token_days))
    return min(until, actor.expires_at) if actor.token_id not in (None, old.id) else until


def _own_scopes(actor: Actor) -> tuple[Scope, ...]:
    """What the asking token has; of a session, what the role grants."""
    if actor.credential == "session":
        return highest(granted(actor.role, is_admin=actor.is_admin))
    return tuple(Scope(text) for text in actor.token_scopes if text in actor.scopes)


def _expiry(session: Session, days: int | None, actor: Actor) -> datetime:
    longest = session.get_one(Workspace, actor.workspace_id).longest_token_days
    if days is not None and days > longest:
        raise Forbidden(f"expires_in_days: {days} days is longer than the workspace {actor.workspace!r} allows; ask for at most {longest}")
    expires_at = now() + timedelta(days=min(DEFAULT_DAYS, longest) if days is None else days)
    if actor.credential == "session":
        return expires_at
    if days is None:
        return min(expires_at, actor.expires_at)
    if expires_at > actor.expires_at + timedelta(minutes=1):
        raise Forbidden(
            f"a token can't outlive the one that asks for it, which ends {actor.expires_at:%Y-%m-%d}; "
            "ask for a smaller expires_in_days, or regenerate your own token first"
        )
    return expires_at


def _insert(session: Session, pepper: bytes, token: Token) -> IssuedToken:
    secret = tokens.mint()
    token.kind, token.public_id, token.digest = tokens.KIND, secret.public_id, tokens.digest(pepper, secret)
    session.add(token)
    session.flush()
    return IssuedToken(token, secret)
