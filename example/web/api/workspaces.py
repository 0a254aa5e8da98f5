"""Operations on workspaces: create, list, show, settings, members, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from example.identity import members, workspaces
from example.identity.actor import Actor
from example.identity.issuing import LONGEST_DAYS
from example.identity.members import MemberView
from example.identity.roles import Role
from example.identity.scopes import Scope
from example.identity.workspaces import SettingsView, WorkspaceView
from example.lifecycle import closing
from example.lifecycle.closing import Contents
from example.lifecycle.switching import Bench
from example.web import audit_trail, calls
from example.web.calls import render
from example.web.documentation import GUARDED, WITH_BODY, answers
from example.web.parameters import LIST_HEADERS, After, Limit, page_headers
from example.web.routing import actor_of, requires, router
from example.web.services import services

routes = router("workspaces")
Result = TypeVar("Result")

EXAMPLE: dict[str, Any] = {
    "id": 2,
    "name": "team",
    "description": "What the team runs",
    "role": "owner",
    "created_at": "2026-11-21T12:00:00Z",
}
SETTINGS: dict[str, Any] = {"description": "What the team runs", "longest_token_days": 90}
MEMBER: dict[str, Any] = {"username": "alice", "role": "developer", "since": "2026-11-21T12:00:00Z"}

_Name = Annotated[str, Field(min_length=workspaces.SHORTEST_NAME, max_length=workspaces.LONGEST_NAME, pattern=workspaces.NAME_PATTERN)]
_Description = Annotated[str, Field(max_length=workspaces.LONGEST_DESCRIPTION, pattern=r"^[^\x00]*$")]
WorkspaceName = Annotated[_Name, Path(description="The workspace's name", examples=["team"])]
Username = Annotated[str, Path(max_length=64, pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$", description="The user's name", examples=["alice"])]


class NewWorkspace(BaseModel):
    """Its name, which nobody else's workspace has."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "team", "description": "What the team runs"}]})

    name: _Name
    description: _Description = ""


class NewSettings(BaseModel):
    """What shall change; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [SETTINGS]})

    description: _Description | None = None
    longest_token_days: int | None = Field(None, ge=1, le=LONGEST_DAYS, description="How long new tokens may live")


class Membership(BaseModel):
    """What the member may do."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"role": "developer"}]})

    role: Role


@routes.post(
    "/workspaces",
    summary="Create a workspace",
    status_code=201,
    response_model=WorkspaceView,
    responses=answers(EXAMPLE, *GUARDED, 409, *WITH_BODY, 507, status=201),
)
@requires(Scope.WORKSPACES_WRITE)
async def create_workspace(request: Request, body: NewWorkspace) -> Response:
    """You are its owner. 409 only says that the name is taken, by a workspace that you may not see perhaps."""
    actor = actor_of(request)

    def create(session: Session) -> WorkspaceView:
        made = workspaces.create(session, actor, name=body.name, description=body.description)
        audit_trail.note(request, workspace_id=made.id, resource=f"workspaces/{made.name}")
        return made

    made = await calls.write(request, create)
    return render(made, status=201, headers={"Location": f"/api/v1/workspaces/{made.name}"})


@routes.get(
    "/workspaces",
    summary="List your workspaces",
    response_model=list[WorkspaceView],
    responses=answers([EXAMPLE], *GUARDED, 422, more=LIST_HEADERS),
)
@requires(Scope.WORKSPACES_READ)
async def list_workspaces(request: Request, limit: Limit = 100, after: After = 0) -> Response:
    """Those that you are a member of, each with your role; an instance administrator sees all. Oldest first."""
    actor = actor_of(request)

    def look(session: Session) -> tuple[list[WorkspaceView], int]:
        return workspaces.page(session, actor, limit=limit, after=after), workspaces.total(session, actor)

    found, total = await calls.read(request, look)
    last = found[-1].id if found else None
    return render(found, headers=page_headers(request, limit=limit, returned=len(found), last=last, total=total))


@routes.get("/workspaces/{name}", summary="Show a workspace", response_model=WorkspaceView, responses=answers(EXAMPLE, *GUARDED, 422))
@requires(Scope.WORKSPACES_READ)
async def show_workspace(request: Request, name: WorkspaceName) -> Response:
    """With your role in it."""
    actor = actor_of(request)
    return render(await calls.read(request, _in(request, name, lambda session: workspaces.show(session, actor, name))))


@routes.delete(
    "/workspaces/{name}",
    summary="Delete a workspace",
    status_code=204,
    responses=answers(None, *GUARDED, 409, 422, 507, status=204),
)
@requires(Scope.WORKSPACES_DELETE)
async def delete_workspace(
    request: Request,
    name: WorkspaceName,
    force: Annotated[bool, Query(description="Even if there are packages in it, or something is live")] = False,
) -> Response:
    """Only its owners can, and only while it has no packages and nothing live. `?force=true` takes everything along: packages, what is
    live, jobs under way. Its tokens end, its members leave, its name is free again.
    """
    actor, held = actor_of(request), services(request).core

    def announce(gone: Contents) -> None:
        _detail(request, force=force, gone=gone)

    def close(bench: Bench) -> None:
        with held.database.read() as session:
            _note_workspace(request, session, actor, name)
        closing.close(bench, actor, held.queue, held.sources, name, force=force, announce=announce)

    await calls.change(request, close)
    return Response(status_code=204)


@routes.get("/workspaces/{name}/settings", summary="Show settings", response_model=SettingsView, responses=answers(SETTINGS, *GUARDED, 422))
@requires(Scope.WORKSPACES_READ)
async def show_settings(request: Request, name: WorkspaceName) -> Response:
    """For every member."""
    actor = actor_of(request)
    return render(await calls.read(request, _in(request, name, lambda session: workspaces.settings(session, actor, name))))


@routes.put(
    "/workspaces/{name}/settings",
    summary="Change settings",
    response_model=SettingsView,
    responses=answers(SETTINGS, *GUARDED, *WITH_BODY, 507),
)
@requires(Scope.WORKSPACES_WRITE)
async def change_settings(request: Request, name: WorkspaceName, body: NewSettings) -> Response:
    """For maintainers. A shorter `longest_token_days` counts for new tokens."""
    actor, wanted = actor_of(request), body.model_dump()
    _detail(request, **{setting: value for setting, value in wanted.items() if value is not None})
    return render(
        await calls.write(request, _in(request, name, lambda session: workspaces.change_settings(session, actor, name, **wanted)))
    )


@routes.get(
    "/workspaces/{name}/members",
    summary="List members",
    response_model=list[MemberView],
    responses=answers([MEMBER], *GUARDED, 422, more=LIST_HEADERS),
)
@requires(Scope.WORKSPACES_READ)
async def list_members(request: Request, name: WorkspaceName, limit: Limit = 100, after: After = 0) -> Response:
    """For every member."""
    actor = actor_of(request)
    found = await calls.read(request, _in(request, name, lambda session: members.page(session, actor, name, limit=limit, after=after)))
    headers = page_headers(request, limit=limit, returned=len(found.members), last=found.last, total=found.total)
    return render(found.members, headers=headers)


@routes.put(
    "/workspaces/{name}/members/{username}",
    summary="Add a member, or change a role",
    response_model=MemberView,
    responses=answers(MEMBER, *GUARDED, 409, *WITH_BODY, 507),
)
@requires(Scope.WORKSPACES_WRITE)
async def set_member(request: Request, name: WorkspaceName, username: Username, body: Membership) -> Response:
    """For maintainers. Nobody gives or takes a role above their own, and the last owner stays one."""
    actor = actor_of(request)

    def change(session: Session) -> MemberView:
        member, before = members.set_role(session, actor, name, username.lower(), body.role)
        _detail(request, role=member.role, before=before)
        return member

    return render(await calls.write(request, _in(request, name, change)))


@routes.delete(
    "/workspaces/{name}/members/{username}",
    summary="Remove a member, or leave",
    status_code=204,
    responses=answers(None, *GUARDED, 409, 422, 507, status=204),
)
@requires(Scope.WORKSPACES_WRITE)
async def remove_member(request: Request, name: WorkspaceName, username: Username) -> Response:
    """For maintainers; everybody may remove themself. It counts from the very next request on. The last owner can't go."""
    actor = actor_of(request)

    def remove(session: Session) -> None:
        _detail(request, before=members.remove(session, actor, name, username.lower()))

    await calls.write(request, _in(request, name, remove))
    return Response(status_code=204)


def _in(request: Request, name: str, verb: Callable[[Session], Result]) -> Callable[[Session], Result]:
    """``verb``; the request belongs into the audit of the workspace that its path names, when the caller can see that."""
    actor = actor_of(request)

    def work(session: Session) -> Result:
        _note_workspace(request, session, actor, name)
        return verb(session)

    return work


def _note_workspace(request: Request, session: Session, actor: Actor, name: str) -> None:
    if (workspace_id := workspaces.find_id(session, actor, name)) is not None:
        audit_trail.note(request, workspace_id=workspace_id)


def _detail(request: Request, **facts: Any) -> None:
    audit_trail.note(request, detail=orjson.dumps(facts).decode())
