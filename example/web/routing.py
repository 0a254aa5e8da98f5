"""Routes that declare who may use them. A route without a declared rule can't be made, so the start fails: deny by default."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute, APIRouter
from starlette.types import Message

from example.errors import Unauthenticated
from example.identity.actor import Actor
from example.identity.scopes import Scope
from example.web import limits

PREFIX = "/api/v1"
LARGEST_BODY = 1024 * 1024
"""Bytes."""

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True)
class Rule:
    """Who may use a route: holders of ``scope``; without one, everybody. ``anonymous`` lets callers without credentials reach the
    handler too. An ``open`` one is public matter: it is neither counted nor, without credentials, written down.
    """

    scope: Scope | None
    anonymous: bool = False
    open: bool = False


def requires(scope: Scope, *, anonymous: bool = False) -> Callable[[Endpoint], Endpoint]:
    """Declare that an operation needs ``scope`` (``anonymous``: unless no credentials were sent at all; the handler then decides)."""
    return _declare(Rule(scope, anonymous))


def public(endpoint: Endpoint) -> Endpoint:
    """Declare that everybody may use an operation as often as they like."""
    return _declare(Rule(None, anonymous=True, open=True))(endpoint)


def unauthenticated(endpoint: Endpoint) -> Endpoint:
    """Declare that an operation needs no credentials: it is what gives them. It is counted and written down."""
    return _declare(Rule(None, anonymous=True))(endpoint)


def _declare(rule: Rule) -> Callable[[Endpoint], Endpoint]:
    def declare(endpoint: Endpoint) -> Endpoint:
        cast(Any, endpoint).access_rule = rule
        return endpoint

    return declare


class GatedRoute(APIRoute):
    """An API route that enforces its endpoint's rule before it reads the body or a parameter."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        rule = getattr(endpoint, "access_rule", None)
        if not isinstance(rule, Rule):
            raise TypeError(f"{path}: {endpoint.__name__} declares no access rule; decorate it with @requires(scope) or @public")
        self.rule = rule
        if rule.scope is not None:
            security: list[dict[str, list[str]]] = [{"token": []}]
            extra = {"security": [{}, *security] if rule.anonymous else security, "x-required-scope": rule.scope.value}
            options["openapi_extra"] = {**(options.get("openapi_extra") or {}), **extra}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, rule, reads_body = super().get_route_handler(), self.rule, self.body_field is not None

        async def guarded(request: Request) -> Response:
            if not rule.open:
                await limits.count(request)
            enforce(rule, request.scope["state"]["identity"])
            return await handle(limited(request, LARGEST_BODY) if reads_body else request)

        return guarded


def enforce(rule: Rule, identity: Actor | Exception) -> None:
    """Raises:
    Exception: the identity doesn't satisfy the rule; what it is says why.
    """
    if rule.scope is None:
        return
    if isinstance(identity, Actor):
        identity.require(rule.scope)
    elif not (rule.anonymous and type(identity) is Unauthenticated):
        raise identity


def limited(request: Request, largest: int) -> Request:
    """The request, whose body may have ``largest`` bytes. Not Starlette's limiter: it answers before the rule does, and no problem+json.

    Raises:
        HTTPException: 413, at once when the length is announced, else in the middle of reading.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 12 or int(announced) > largest):
        raise HTTPException(413)
    came = 0

    async def receive() -> Message:
        nonlocal came
        message = await request.receive()
        came += len(message.get("body", b""))
        if came > largest:
            raise HTTPException(413)
        return message

    return Request(request.scope, receive)


def actor_of(request: Request) -> Actor:
    """The actor of a route that requires one."""
    identity = request.scope["state"]["identity"]
    assert isinstance(identity, Actor), "the route's rule lets nobody else pass"
    return identity


def router(tag: str, *, prefix: str = PREFIX) -> APIRouter:
    """A router whose routes are gated; ``tag`` is their heading in the documentation."""
    return APIRouter(route_class=GatedRoute, prefix=prefix, tags=[tag])
