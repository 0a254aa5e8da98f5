"""How often a caller may call: which policy counts a request, and what the answer says of it."""

from __future__ import annotations

from fastapi import Request

from example.errors import RateLimited
from example.identity.actor import Actor
from example.ratelimit.limiter import Window, headers_of
from example.ratelimit.policies import Policy, address_subject
from example.web.audit_trail import trail_of
from example.web.services import services


async def count(request: Request) -> None:
    """Count a request: by user when the credential is good, else by address.

    Raises:
        RateLimited: the window is full.
    """
    trail_of(request.scope).counted = True
    policies, identity = services(request).limiter.policies, request.scope["state"]["identity"]
    if not isinstance(identity, Actor):
        await hit(request, policies.anonymous, _address(request))
        return
    if identity.credential == "pat" and policies.pat is not None:
        await hit(request, policies.pat, _address(request))
    await hit(request, policies.authenticated, str(identity.user_id))


async def hit(request: Request, policy: Policy | None, subject: str, *, strict: bool = False) -> None:
    """Count one use of ``policy`` by ``subject``; the answer's headers tell of the last that was counted. ``None``: it is turned off.

    Raises:
        RateLimited: the window is full.
    """
    if policy is None:
        return
    window = await services(request).limiter.hit(policy, subject, strict=strict)
    request.scope["state"]["headers"] = [(name.lower().encode(), value.encode()) for name, value in headers_of(window).items()]
    if not window.allowed:
        raise _refusal(window)


def _address(request: Request) -> str:
    return address_subject(request.client.host if request.client else None)


def _refusal(window: Window) -> RateLimited:
    return RateLimited(
        f"more than {window.policy.limit} ({window.policy.name}); try again in {window.wait} seconds",
        retry_after=window.wait,
        policy=window.policy.name,
    )
