"""Operations that give a session and end it: register, log in, refresh, log out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy.orm import Session

from example.errors import Forbidden
from example.identity import accounts, invitations, passwords, registering, sessions, tokens
from example.identity.accounts import Account, Credentials, NewAccount
from example.identity.actor import Actor
from example.identity.sessions import Grant, Theft
from example.ratelimit.policies import address_subject, login_subject
from example.web import audit_trail, calls, limits
from example.web.api.tokens import Nothing
from example.web.calls import render
from example.web.documentation import WITH_BODY, answers
from example.web.gate import client_address
from example.web.routing import router, unauthenticated
from example.web.services import services

routes = router("accounts")

NO_STORE = {"Cache-Control": "no-store"}
ACCOUNT: dict[str, Any] = {
    "username": "alice",
    "created_at": "2026-11-21T12:00:00Z",
    "id": 3,
    "email": "alice@example.com",
    "is_admin": False,
    "workspaces": [{"name": "default", "role": "developer"}],
}
GRANTED: dict[str, Any] = {
    "token": "eyJhbGciOiJIUzI1NiIsInR5cCI6InBtLWFjY2Vzcytqd3QifQ.eyJzdWIiOiIzIn0.…",
    "refresh_token": "pm_ref_" + "0" * 50,
    "expires_at": "2026-11-21T12:15:00Z",
    "user": ACCOUNT,
}

Password = Annotated[SecretStr, Field(min_length=1, max_length=passwords.LONGEST)]
NewPassword = Annotated[
    SecretStr,
    Field(
        min_length=passwords.SHORTEST,
        max_length=passwords.LONGEST,
        description="One that is easily guessed is refused",
        examples=["seven lazy otters at dawn"],
    ),
]
Email = Annotated[str, Field(min_length=3, max_length=accounts.LONGEST_ADDRESS, pattern=accounts.ADDRESS_PATTERN)]
Invitation = Annotated[
    SecretStr,
    Field(
        max_length=100,
        description="The code of an invitation, `pm_inv_…`",
        json_schema_extra={"pattern": f"^pm_{tokens.INVITATION}_[0-9A-Za-z]{{50}}$"},
        examples=["pm_inv_" + "0" * 50],
    ),
]


class Registration(BaseModel):
    """Who somebody wants to be here."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    username: str = Field(
        min_length=accounts.SHORTEST_NAME,
        max_length=accounts.LONGEST_NAME,
        pattern=accounts.USERNAME_PATTERN,
        description="Kept in lower case",
        examples=["alice"],
    )
    email: Email = Field(examples=["alice@example.com"])
    password: NewPassword
    invitation: Invitation | None = None


class LogIn(BaseModel):
    """Who somebody says they are."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    username: str = Field(
        validation_alias=AliasChoices("username", "email"),
        min_length=1,
        max_length=accounts.LONGEST_ADDRESS,
        description="The user name, or the e-mail address (which may also be sent as `email`)",
        examples=["alice"],
    )
    password: Password = Field(examples=["seven lazy otters at dawn"])


class Refresh(BaseModel):
    """The refresh token of the last answer."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    refresh_token: SecretStr = Field(max_length=100, examples=["pm_ref_" + "0" * 50])


@dataclass(frozen=True)
class SessionView:
    """A session: `token` for the `Authorization` header until `expires_at`, and what to exchange for the next one."""

    token: str
    refresh_token: str
    expires_at: datetime
    user: Account


@routes.post(
    "/auth/register",
    summary="Make an account",
    status_code=201,
    response_model=Account,
    responses=answers(ACCOUNT, 403, 404, 409, *WITH_BODY, 507, status=201),
)
@unauthenticated
async def register(request: Request, body: Registration) -> Response:
    """Where registration is open, everybody may, and becomes a developer of the workspace `default`; elsewhere it takes an invitation."""
    held = services(request)
    await limits.hit(request, held.limiter.policies.anonymous, address_subject(client_address(request.scope)), strict=True)
    invitation = body.invitation.get_secret_value() if body.invitation is not None else None
    rule, password = held.core.settings.registration_rule, body.password.get_secret_value()
    accounts.require_open(rule, invited=invitation is not None)
    if invitation is not None:
        await calls.read(request, lambda session: invitations.require_usable(session, held.core.keys, invitation))
    wanted = NewAccount(body.username, body.email, None)
    await passwords.aside(passwords.require_good, password, names=(wanted.username, wanted.email))
    account = replace(wanted, password_hash=await passwords.aside(passwords.hashed, password))

    def verb(session: Session) -> Account:
        user = registering.register(session, held.core.keys, account, rule=rule, invitation=invitation)
        audit_trail.note(request, user_id=user.id, username=user.username)
        return accounts.own_view(session, user.id)

    return render(await calls.write(request, verb), status=201, headers=NO_STORE)


@routes.post("/auth/login", summary="Log in", response_model=SessionView, responses=answers(GRANTED, 401, 403, *WITH_BODY))
@unauthenticated
async def log_in(request: Request, body: LogIn) -> Response:
    """The session's token lives for 15 minutes, and `/auth/refresh` gives the next, for 30 days. A wrong name and a wrong password have
    the same answer.
    """
    held, password = services(request), body.password.get_secret_value()
    policy, subject = held.limiter.policies.login, login_subject(body.username.lower(), client_address(request.scope))
    await limits.hit(request, policy, subject, strict=True)
    known = await calls.point_read(request, lambda session: accounts.find_credentials(session, body.username))
    audit_trail.note(request, credential="password")
    if known is not None:
        audit_trail.note(request, user_id=known.user_id, username=known.username)
    if not await passwords.aside(passwords.matches, known.password_hash if known else None, password) or known is None:
        raise accounts.login_failed()
    answer = await calls.write(request, await _begin(request, known, password))
    if policy is not None:
        await held.limiter.clear(policy, subject)
    return render(answer, headers=NO_STORE)


@routes.post("/auth/refresh", summary="Exchange a refresh token", response_model=SessionView, responses=answers(GRANTED, 401, *WITH_BODY))
@unauthenticated
async def refresh_session(request: Request, body: Refresh) -> Response:
    """Each refresh token works once. One that comes a second time ends the session, because then two have it: log in again."""
    held = services(request)

    def verb(session: Session) -> SessionView | Theft:
        outcome = sessions.refresh(session, held.core.keys, body.refresh_token.get_secret_value())
        audit_trail.note(request, user_id=outcome.user_id, username=outcome.username, credential="session")
        if isinstance(outcome, Theft):
            audit_trail.note(request, reason="refresh_token_reused" if outcome.reused else "refresh_token_wrong")
            return outcome
        return _view(session, outcome)

    answer = await calls.write(request, verb, status=lambda result: 401 if isinstance(result, Theft) else 200)
    if isinstance(answer, Theft):
        raise sessions.stolen()
    return render(answer, headers=NO_STORE)


@routes.post(
    "/auth/logout",
    summary="Log out",
    response_model=Nothing,
    responses=answers({}, 401, 403),
    openapi_extra={"security": [{"token": []}]},
)
@unauthenticated
async def log_out(request: Request) -> Response:
    """Ends the session whose token is sent: it and its refresh token are refused from the very next request on."""
    identity = request.scope["state"]["identity"]
    if not isinstance(identity, Actor):
        raise identity
    session_id = identity.session_id
    if session_id is None:
        raise Forbidden(
            f"this ends sessions, and the {identity.label} is none: revoke it with DELETE /api/v1/tokens/{identity.token_id}, "
            "or send the token of POST /api/v1/auth/login"
        )
    await calls.write(request, lambda session: sessions.end(session, session_id))
    return render({}, headers=NO_STORE)


async def _begin(request: Request, known: Credentials, password: str) -> Callable[[Session], SessionView]:
    """What begins the session; a hash of older parameters is replaced on the way."""
    held, old = services(request), known.password_hash
    assert old is not None, "a password was verified against it"
    fresh = await passwords.aside(passwords.hashed, password) if passwords.needs_rehash(old) else old

    def verb(session: Session) -> SessionView:
        user = accounts.lock_verified(session, known.user_id, old)
        user.password_hash = fresh
        address, agent = client_address(request.scope), request.headers.get("user-agent")
        return _view(session, sessions.start(session, held.core.keys, user, address=address, agent=agent))

    return verb


def _view(session: Session, grant: Grant) -> SessionView:
    return SessionView(grant.token, grant.refresh_token, grant.expires_at, accounts.own_view(session, grant.user_id))
