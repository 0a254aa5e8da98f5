"""Operations on users: one's own account, and others' names."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from example.errors import Forbidden
from example.identity import accounts, passwords
from example.identity.accounts import Account, Credentials, PublicAccount
from example.identity.actor import Actor
from example.identity.scopes import Scope
from example.ratelimit.policies import address_subject, login_subject
from example.web import calls, limits
from example.web.api.auth import ACCOUNT, NO_STORE, Email, NewPassword, Password
from example.web.calls import render
from example.web.documentation import GUARDED, WITH_BODY, answers
from example.web.gate import client_address
from example.web.routing import actor_of, requires, router
from example.web.services import services

routes = router("accounts")

PUBLIC: dict[str, Any] = {"username": "alice", "created_at": "2026-11-21T12:00:00Z"}

Username = Annotated[str, Path(min_length=1, max_length=64, description="The user name", examples=["alice"])]


class AccountChange(BaseModel):
    """What shall be different. A new address or password takes the current password."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    email: Email | None = Field(None, examples=["alice@example.com"])
    current_password: Password | None = None
    new_password: NewPassword | None = None


@routes.get("/users/me", summary="Show your account", response_model=Account, responses=answers(ACCOUNT, *GUARDED))
@requires(Scope.USERS_READ)
async def show_me(request: Request) -> Response:
    """With the workspaces that you are a member of, and your role in each."""
    actor = actor_of(request)
    return render(await calls.read(request, lambda session: accounts.own_view(session, actor.user_id)))


@routes.put(
    "/users/me",
    summary="Change your address or password",
    response_model=Account,
    responses=answers(ACCOUNT, *GUARDED, 409, *WITH_BODY, 507),
)
@requires(Scope.USERS_WRITE)
async def change_me(request: Request, body: AccountChange) -> Response:
    """What is left out stays. A new password ends your other sessions at once; personal access tokens stay: `DELETE /api/v1/tokens/all`
    ends those.
    """
    actor = actor_of(request)
    verified = await _prove(request, actor, body) if body.email is not None or body.new_password is not None else None
    fresh = await _new_hash(actor, body)

    def verb(session: Session) -> Account:
        if verified is not None:
            user = accounts.lock_verified(session, actor.user_id, verified.password_hash)
            if body.email is not None:
                accounts.set_email(session, user, body.email)
            if fresh is not None:
                accounts.set_password(session, user, fresh, keep_session=actor.session_id)
        return accounts.own_view(session, actor.user_id)

    return render(await calls.write(request, verb), headers=NO_STORE)


@routes.get("/users/{username}", summary="Show a user", response_model=PublicAccount, responses=answers(PUBLIC, *GUARDED, 404, 422))
@requires(Scope.USERS_READ)
async def show_user(request: Request, username: Username) -> Response:
    """What everybody may see of somebody."""
    await limits.hit(request, services(request).limiter.policies.search, address_subject(client_address(request.scope)))
    return render(await calls.read(request, lambda session: accounts.view(accounts.find(session, username))))


async def _prove(request: Request, actor: Actor, body: AccountChange) -> Credentials:
    """The caller's credentials, once the current password is proven. Tries count as log-ins do: a token that leaked is no way to guess."""
    if body.current_password is None:
        raise Forbidden("a new address or password takes your current password; send it as current_password")
    held = services(request)
    policy, subject = held.limiter.policies.login, login_subject(actor.username, client_address(request.scope))
    await limits.hit(request, policy, subject, strict=True)
    known = await calls.point_read(request, lambda session: accounts.find_credentials(session, actor.username))
    assert known is not None, "users are never deleted"
    if known.password_hash is None:
        raise Forbidden("this account has no password yet; the operator sets one with example-admin users set-password")
    if not await passwords.aside(passwords.matches, known.password_hash, body.current_password.get_secret_value()):
        raise Forbidden("current_password is wrong; nothing was changed")
    if policy is not None:
        await held.limiter.clear(policy, subject)
    return known


async def _new_hash(actor: Actor, body: AccountChange) -> str | None:
    if body.new_password is None:
        return None
    password = body.new_password.get_secret_value()
    await passwords.aside(passwords.require_good, password, names=(actor.username, body.email or ""), field="new_password")
    return await passwords.aside(passwords.hashed, password)
