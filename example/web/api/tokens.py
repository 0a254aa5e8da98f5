"""Operations on tokens: create, list, show, regenerate, limit, revoke."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from example.identity import bootstrap, issuing, patterns, tokens
from example.identity.actor import Actor
from example.identity.issuing import LONGEST_DAYS, LONGEST_OVERLAP_HOURS, IssuedToken, TokenRequest
from example.identity.scopes import Scope
from example.models import Token
from example.web import calls
from example.web.calls import render
from example.web.documentation import GUARDED, WITH_BODY, answers
from example.web.gate import client_address
from example.web.parameters import After, Limit, TokenId, page_headers
from example.web.routing import actor_of, requires, router
from example.web.services import services

routes = router("tokens")
Item = TypeVar("Item")

MASKED: dict[str, Any] = {
    "id": 1,
    "name": "ci",
    "prefix": "pm_pat_5xKq0Vb1",
    "workspace": "default",
    "scopes": ["packages:publish", "environments:activate", "jobs:cancel"],
    "resources": ["team-*"],
    "allowed_ips": ["10.0.0.0/8"],
    "created_at": "2026-11-21T12:00:00Z",
    "expires_at": "2027-02-19T12:00:00Z",
    "revoked_at": None,
    "last_used_at": None,
    "last_used_ip": None,
    "rotated_from": None,
}
ISSUED: dict[str, Any] = MASKED | {"token": "pm_pat_" + "0" * 50}

OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
NETWORK_FORMS: dict[str, Any] = {
    "description": "An address, or a network (CIDR, any prefix length) without host bits",
    "anyOf": [
        {"pattern": rf"^{OCTET}(\.{OCTET}){{3}}$"},
        {"pattern": rf"^{OCTET}(\.0\.0\.0/8|\.{OCTET}\.0\.0/16|(\.{OCTET}){{2}}\.0/24)$"},
        {"pattern": "^[1-9a-f][0-9a-f]{0,3}(:[1-9a-f][0-9a-f]{0,3}){3}::(/64)?$"},
    ],
}
"""What JSON Schema can say of networks: the usual forms. ``patterns.network`` has the last word."""
Networks = Annotated[
    list[Annotated[str, Field(min_length=2, max_length=49, json_schema_extra=NETWORK_FORMS)]],
    Field(max_length=50, examples=[["10.0.0.0/8"]]),
]


class NewToken(BaseModel):
    """What the token shall be able to do. What is left out is as in the token that asks; for the first token: everything."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "ci", "scopes": ["packages:publish"], "expires_in_days": 30}]}
    )

    name: str = Field("token", min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")
    scopes: list[Scope] | None = Field(None, min_length=1, max_length=len(Scope))
    resources: list[Annotated[str, Field(pattern=patterns.RESOURCE_PATTERN)]] | None = Field(
        None, max_length=50, description="Package names; a trailing * covers all that begin so", examples=[["team-*"]]
    )
    expires_in_days: int | None = Field(None, ge=1, le=LONGEST_DAYS)
    allowed_ips: Networks | None = None

    def parse(self) -> TokenRequest:
        """The request as the domain takes it."""
        return TokenRequest(self.name, _tuple(self.scopes), _tuple(self.resources), self.expires_in_days, _tuple(self.allowed_ips))


class Regeneration(BaseModel):
    """How long the old secret still works."""

    model_config = ConfigDict(extra="forbid")

    overlap_hours: int = Field(0, ge=0, le=LONGEST_OVERLAP_HOURS)


class AllowedIps(BaseModel):
    """From where the token may be used; none: from anywhere."""

    model_config = ConfigDict(extra="forbid")

    allowed_ips: Networks


@dataclass(frozen=True)
class TokenView:
    """A token without its secret."""

    id: int
    name: str
    prefix: str
    workspace: str
    scopes: list[str]
    resources: list[str]
    allowed_ips: list[str]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    last_used_ip: str | None
    rotated_from: int | None


@dataclass(frozen=True)
class IssuedView(TokenView):
    """A token with its secret, shown this once."""

    token: str


class Nothing(BaseModel):
    """Done; there is nothing to say."""


@routes.post(
    "/tokens",
    summary="Create a token",
    status_code=201,
    response_model=IssuedView,
    responses=answers(ISSUED, *GUARDED, *WITH_BODY, 507, status=201),
)
@requires(Scope.TOKENS_WRITE, anonymous=True)
async def create_token(request: Request, body: NewToken | None = None) -> Response:
    """The token is in the answer, this once. It never gives more than the token that asks for it. In development the first one needs no
    credentials when the request comes from the server's own machine.
    """
    wanted, identity = (body or NewToken()).parse(), request.scope["state"]["identity"]
    held = services(request)
    if isinstance(identity, Actor):
        issued = await calls.write(request, lambda session: _issued(issuing.issue(session, identity, held.core.keys.tokens[0], wanted)))
        return render(issued, status=201, headers={"Cache-Control": "no-store"})
    loopback = bootstrap.is_direct_loopback(client_address(request.scope), request.headers)
    bootstrap.require_anonymous_allowed(held.core.settings.anonymous_token_rule, loopback=loopback)
    issued = await calls.write(
        request,
        lambda session: _issued(bootstrap.first_token(session, held.core.keys.tokens[0], username=bootstrap.LOCAL_USER, request=wanted)),
    )
    return render(issued, status=201, headers={"Cache-Control": "no-store"})


@routes.get("/tokens", summary="List your tokens", response_model=list[TokenView], responses=answers([MASKED], *GUARDED, 422))
@requires(Scope.TOKENS_READ)
async def list_tokens(request: Request, limit: Limit = 100, after: After = 0) -> Response:
    """Only prefixes: secrets are not kept."""
    actor = actor_of(request)

    def look(session: Session) -> tuple[list[TokenView], int]:
        return [_view(token) for token in issuing.page(session, actor, limit=limit, after=after)], issuing.total(session, actor)

    found, total = await calls.read(request, look)
    last = found[-1].id if found else None
    return render(found, headers=page_headers(request, limit=limit, returned=len(found), last=last, total=total))


@routes.delete("/tokens/all", summary="Revoke all your tokens but this one", response_model=Nothing, responses=answers({}, *GUARDED))
@requires(Scope.TOKENS_ADMIN)
async def revoke_other_tokens(request: Request) -> Response:
    """For when one may have leaked and nobody knows which."""
    actor = actor_of(request)
    await calls.write(request, lambda session: issuing.revoke_others(session, actor))
    return render({})


@routes.get("/tokens/{token_id:one_token}", summary="Show a token", response_model=TokenView, responses=answers(MASKED, *GUARDED, 404, 422))
@requires(Scope.TOKENS_READ)
async def show_token(request: Request, token_id: TokenId) -> Response:
    """Without its secret."""
    actor = actor_of(request)
    return render(await calls.read(request, lambda session: _view(issuing.find(session, actor, token_id))))


@routes.post(
    "/tokens/{token_id}/regenerate",
    summary="Give a token a new secret",
    response_model=IssuedView,
    responses=answers(ISSUED | {"id": 2, "rotated_from": 1}, *GUARDED, 404, 409, *WITH_BODY),
)
@requires(Scope.TOKENS_WRITE)
async def regenerate_token(request: Request, token_id: TokenId, body: Regeneration | None = None) -> Response:
    """Same name, same limits, a new id and secret. The old secret ends at once, or after `overlap_hours`."""
    actor, held = actor_of(request), services(request)
    hours = body.overlap_hours if body else 0
    issued = await calls.write(
        request, lambda session: _issued(issuing.regenerate(session, actor, held.core.keys.tokens[0], token_id, overlap_hours=hours))
    )
    return render(issued, headers={"Cache-Control": "no-store"})


@routes.put(
    "/tokens/{token_id}/allowed-ips",
    summary="Limit where a token may be used",
    response_model=TokenView,
    responses=answers(MASKED, *GUARDED, 404, *WITH_BODY),
)
@requires(Scope.TOKENS_WRITE)
async def set_allowed_ips(request: Request, token_id: TokenId, body: AllowedIps) -> Response:
    """Replaces the list of addresses and networks."""
    actor = actor_of(request)
    return render(await calls.write(request, lambda session: _view(issuing.set_allowed_ips(session, actor, token_id, body.allowed_ips))))


@routes.delete("/token/{token_id}", summary="Revoke a token", response_model=Nothing, responses=answers({}, *GUARDED, 404, 422))
@routes.delete("/tokens/{token_id:one_token}", summary="Revoke a token", response_model=Nothing, responses=answers({}, *GUARDED, 404, 422))
@requires(Scope.TOKENS_WRITE)
async def revoke_token(request: Request, token_id: TokenId) -> Response:
    """It is refused from the very next request on."""
    actor = actor_of(request)
    await calls.write(request, lambda session: issuing.revoke(session, actor, token_id))
    return render({})


def _view(token: Token) -> TokenView:
    return TokenView(
        token.id,
        token.name,
        tokens.prefix(token.public_id),
        token.workspace.name,
        token.scopes,
        token.resources,
        token.allowed_ips,
        token.created_at,
        token.expires_at,
        token.revoked_at,
        token.last_used_at,
        token.last_used_ip,
        token.rotated_from,
    )


def _issued(issued: IssuedToken) -> IssuedView:
    return IssuedView(**vars(_view(issued.token)), token=issued.secret.text)


def _tuple(items: list[Item] | None) -> tuple[Item, ...] | None:
    return None if items is None else tuple(items)
