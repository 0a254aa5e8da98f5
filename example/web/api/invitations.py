"""Operations on invitations: make one, accept one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from example.identity import invitations, workspaces
from example.identity.invitations import Invited
from example.identity.roles import Role
from example.identity.scopes import Scope
from example.web import audit_trail, calls
from example.web.api.auth import NO_STORE, Invitation
from example.web.api.workspaces import WorkspaceName
from example.web.calls import render
from example.web.documentation import GUARDED, WITH_BODY, answers
from example.web.routing import actor_of, requires, router
from example.web.services import services

routes = router("workspaces")

INVITED: dict[str, Any] = {
    "invitation": "pm_inv_" + "0" * 50,
    "role": "developer",
    "workspace": "team",
    "expires_at": "2026-11-28T12:00:00Z",
}
JOINED: dict[str, Any] = {"workspace": "team", "role": "developer"}


class NewInvitation(BaseModel):
    """What whoever accepts it becomes, and for how long it can be accepted."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"role": "developer", "expires_in_days": 7}]})

    role: Role = Role.DEVELOPER
    expires_in_days: int = Field(invitations.DEFAULT_DAYS, ge=1, le=invitations.LONGEST_DAYS)


class Acceptance(BaseModel):
    """The code that you were given."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    invitation: Invitation


@dataclass(frozen=True)
class InvitedView:
    """An invitation; its code is shown this once."""

    invitation: str
    role: Role
    workspace: str
    expires_at: datetime


@dataclass(frozen=True)
class Joined:
    """What the caller now is in a workspace."""

    workspace: str
    role: Role


@routes.post(
    "/workspaces/{name}/invitations",
    summary="Invite somebody",
    status_code=201,
    response_model=InvitedView,
    responses=answers(INVITED, *GUARDED, *WITH_BODY, 507, status=201),
)
@requires(Scope.WORKSPACES_WRITE)
async def create_invitation(request: Request, name: WorkspaceName, body: NewInvitation | None = None) -> Response:
    """A maintainer gives the code to one person, who registers with it, or accepts it with an account. It works once, and only for as long
    as you may give that role.
    """
    actor, keys, wanted = actor_of(request), services(request).core.keys, body or NewInvitation()

    def verb(session: Session) -> Invited:
        audit_trail.note(request, workspace_id=workspaces.find_id(session, actor, name))
        return invitations.create(session, actor, keys, name, role=wanted.role, days=wanted.expires_in_days)

    made = await calls.write(request, verb)
    return render(InvitedView(made.secret.text, made.role, made.workspace, made.expires_at), status=201, headers=NO_STORE)


@routes.post(
    "/users/me/invitations",
    summary="Accept an invitation",
    response_model=Joined,
    responses=answers(JOINED, *GUARDED, *WITH_BODY),
)
@requires(Scope.USERS_WRITE)
async def accept_invitation(request: Request, body: Acceptance) -> Response:
    """Makes you a member of its workspace, or raises your role there."""
    actor, keys, code = actor_of(request), services(request).core.keys, body.invitation.get_secret_value()

    def verb(session: Session) -> Joined:
        joined = invitations.accept(session, keys, code, actor.user_id)
        audit_trail.note(request, workspace_id=joined.workspace_id)
        return Joined(joined.workspace, joined.role)

    return render(await calls.write(request, verb))
