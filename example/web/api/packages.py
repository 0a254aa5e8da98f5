"""Operations on packages: create, list, show, download, activate, deactivate, delete."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from example.identity.scopes import Scope
from example.jobs import doorbell
from example.lifecycle import activations, downloads, packages
from example.lifecycle.packages import PackageFilter, PackageView
from example.lifecycle.states import Status
from example.sources.nix import NixSource
from example.web import calls
from example.web.calls import render
from example.web.documentation import GUARDED, WITH_BODY, answers
from example.web.health_checks import HealthCheckBody
from example.web.parameters import LIST_HEADERS, After, Limit, PackageId, page_headers
from example.web.routing import actor_of, requires, router
from example.web.services import services

routes = router("packages")

EXAMPLE: dict[str, Any] = {
    "id": 1,
    "name": "hello",
    "version": "2.1.0",
    "source": "nix",
    "status": "activated",
    "created_at": "2026-11-21T12:00:00Z",
    "downloaded_at": "2026-11-21T12:00:02Z",
    "activated_at": "2026-11-21T12:00:05Z",
    "size": 1184,
    "artifact": "/nix/store/3i9bqf2n0qj4bsf1a3n9v2d1wq5k0c7x-hello-2.1.0",
    "pin": "demo",
    "error": None,
    "task_id": "3f1e9a52-6f0e-4f0e-9a52-3f1e9a526f0e",
    "environments": ["default"],
}


class NewPackage(BaseModel):
    """Which package is wanted."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "hello", "version": "2.1.0"}]})

    name: str = Field(
        min_length=2,
        max_length=50,
        json_schema_extra={"pattern": NixSource.name_pattern},
        description="An attribute, or a path of them: python3Packages.requests",
    )
    version: str = Field(min_length=1, max_length=64, json_schema_extra={"pattern": NixSource.version_pattern})
    source: Literal["nix"] = "nix"


class Activation(BaseModel):
    """How to activate."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"health_check": {"command": ["hello", "--version"]}}]})

    health_check: HealthCheckBody | None = None


class Downloading(BaseModel):
    """How the download stands; `task_id` names the job while there is one."""

    status: Status
    task_id: str | None


class Activated(BaseModel):
    """The package is live."""

    status: Literal["activated"]
    generation: int


class Deactivated(BaseModel):
    """The package is not live any more."""

    status: Status
    generation: int | None


@routes.get(
    "/packages", summary="List packages", response_model=list[PackageView], responses=answers([EXAMPLE], *GUARDED, 422, more=LIST_HEADERS)
)
@requires(Scope.PACKAGES_READ)
async def list_packages(
    request: Request,
    source: Annotated[Literal["nix"] | None, Query(description="Only of this source")] = None,
    status: Annotated[Status | None, Query(description="Only in this status")] = None,
    name: Annotated[str | None, Query(max_length=64, pattern=r"^[^\x00]*$", description="Only with exactly this name")] = None,
    limit: Limit = 100,
    after: After = 0,
) -> Response:
    """Oldest first."""
    actor, wanted = actor_of(request), PackageFilter(source, status, name)

    def look(session: Connection | Session) -> tuple[list[PackageView], int]:
        return packages.page(session, actor, wanted, limit=limit, after=after), packages.total(session, actor, wanted)

    long = limit > 100 or actor.resources  # a long page, or counting by patterns, would hold up the event loop
    found, total = await (calls.read(request, look) if long else calls.point_read(request, look))
    last = found[-1].id if found else None
    return render(found, headers=page_headers(request, limit=limit, returned=len(found), last=last, total=total))


@routes.post(
    "/packages",
    summary="Create a package",
    status_code=201,
    response_model=PackageView,
    responses=answers(EXAMPLE | {"status": "created", "artifact": None}, *GUARDED, 409, *WITH_BODY, 507, status=201),
)
@requires(Scope.PACKAGES_PUBLISH)
async def create_package(request: Request, body: NewPackage) -> Response:
    """Records which version of which package is wanted. Whether the source has it shows when it is downloaded."""
    actor, sources = actor_of(request), services(request).core.sources
    made = await calls.write(
        request, lambda session: packages.create(session, actor, sources, source=body.source, name=body.name, version=body.version)
    )
    return render(made, status=201, headers={"Location": f"/api/v1/package/{made.id}"})


@routes.get("/package/{package_id}", summary="Show a package", response_model=PackageView, responses=answers(EXAMPLE, *GUARDED, 404, 422))
@requires(Scope.PACKAGES_READ)
async def show_package(request: Request, package_id: PackageId) -> Response:
    """Its status, where it came from, where it is live, and why it failed if it did."""
    actor = actor_of(request)
    return render(await calls.point_read(request, lambda connection: packages.show(connection, actor, package_id)))


@routes.post(
    "/package/{package_id}/download",
    summary="Download a package",
    status_code=202,
    response_model=Downloading,
    responses=answers({"status": "downloading", "task_id": EXAMPLE["task_id"]}, *GUARDED, 404, 422, 507, status=202)
    | {
        200: {
            "description": "It is downloaded",
            "model": Downloading,
            "content": {"application/json": {"example": {"status": "downloaded", "task_id": None}}},
        }
    },
)
@requires(Scope.ENVIRONMENTS_ACTIVATE)
async def download_package(request: Request, package_id: PackageId) -> Response:
    """Fetches or builds it in the background: 202 with the job, the same one however many ask; 200 when it is there already."""
    actor, queue = actor_of(request), services(request).core.queue
    begun = await calls.write(
        request, lambda session: downloads.start(session, actor, queue, package_id), lambda begun: 200 if begun.task_id is None else 202
    )
    if begun.task_id is not None:
        doorbell.ring()
    shown = "downloaded" if begun.task_id is None else begun.status
    return render({"status": shown, "task_id": begun.task_id}, status=200 if begun.task_id is None else 202)


@routes.post(
    "/package/{package_id}/activate",
    summary="Activate a package",
    response_model=Activated,
    responses=answers({"status": "activated", "generation": 3}, *GUARDED, 404, 409, *WITH_BODY, 507),
)
@requires(Scope.ENVIRONMENTS_ACTIVATE)
async def activate_package(request: Request, package_id: PackageId, body: Activation | None = None) -> Response:
    """Makes it live in the environment `default`, in one rename, in place of another version of it. With a health check, a failing
    generation is
    taken back and 409 says what is live. Again and again: the same answer.
    """
    actor = actor_of(request)
    check = body.health_check.parse() if body and body.health_check else None
    generation = await calls.change(request, lambda bench: activations.activate(bench, actor, package_id, check))
    return render({"status": "activated", "generation": generation})


@routes.post(
    "/package/{package_id}/deactivate",
    summary="Deactivate a package",
    response_model=Deactivated,
    responses=answers({"status": "downloaded", "generation": 4}, *GUARDED, 404, 409, 422, 507),
)
@requires(Scope.ENVIRONMENTS_ACTIVATE)
async def deactivate_package(request: Request, package_id: PackageId) -> Response:
    """Makes a generation without it live. It stays downloaded."""
    actor = actor_of(request)
    generation = await calls.change(request, lambda bench: activations.deactivate(bench, actor, package_id))
    shown = await calls.point_read(request, lambda connection: packages.show(connection, actor, package_id))
    return render({"status": shown.status, "generation": generation})


@routes.delete(
    "/package/{package_id}", summary="Delete a package", status_code=204, responses=answers(None, *GUARDED, 404, 409, 422, status=204)
)
@requires(Scope.PACKAGES_DELETE)
async def delete_package(request: Request, package_id: PackageId) -> Response:
    """Forgets it; `example-admin gc` then frees its space. Not while it is being downloaded or is live."""
    actor, sources = actor_of(request), services(request).core.sources
    source = await calls.write(request, lambda session: packages.remove(session, actor, package_id))
    with suppress(OSError):  # it is deleted; what can't be let go now, example-admin gc lets go
        await calls.aside(request, lambda: sources[source].forget(package_id))
    return Response(status_code=204)
