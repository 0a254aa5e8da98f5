"""Operations on environments: what is live, its generations, switching and rolling back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from example.environments import history
from example.environments.history import Member
from example.identity import access
from example.identity.actor import Actor
from example.identity.patterns import matches
from example.identity.scopes import Scope
from example.lifecycle import activations
from example.web import calls
from example.web.calls import render
from example.web.documentation import GUARDED, WITH_BODY, answers
from example.web.health_checks import HealthCheckBody
from example.web.parameters import LARGEST_ID
from example.web.routing import actor_of, requires, router
from example.web.services import Services, services

routes = router("environments")
PATH = f"/environments/{activations.SOURCE}/{activations.DEFAULT_ENVIRONMENT}"

EXAMPLE: dict[str, Any] = {
    "source": "nix",
    "name": "default",
    "path": "/var/lib/package-master/environments/nix/1/profile",
    "generation": 3,
    "packages": [{"id": 1, "name": "hello", "version": "2.1.0"}],
}
GENERATION: dict[str, Any] = {"number": 3, "current": True, "created_at": "2026-11-21T12:00:05Z", "packages": EXAMPLE["packages"]}


@dataclass(frozen=True)
class MemberView:
    """A package of a generation; `id` is null when its record was deleted since."""

    id: int | None
    name: str
    version: str


@dataclass(frozen=True)
class EnvironmentView:
    """An environment: programs are in `path`/bin, whatever generation is live."""

    source: str
    name: str
    path: str | None
    generation: int | None
    packages: list[MemberView]


@dataclass(frozen=True)
class GenerationView:
    """One state of an environment."""

    number: int
    current: bool
    created_at: datetime
    packages: list[MemberView]


class Rollback(BaseModel):
    """Where to; without `to`, what was live before."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"to": 2}]})

    to: int | None = Field(None, ge=1, le=LARGEST_ID)


class Switching(BaseModel):
    """Which generation shall be live."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"generation": 2}]})

    generation: int = Field(ge=1, le=LARGEST_ID)
    health_check: HealthCheckBody | None = None


@routes.get("/environments", summary="List environments", response_model=list[EnvironmentView], responses=answers([EXAMPLE], *GUARDED))
@requires(Scope.ENVIRONMENTS_READ)
async def list_environments(request: Request) -> Response:
    """Those that have come into being."""
    actor, held = actor_of(request), services(request)
    shown = await calls.read(request, lambda session: _view(session, held, actor))
    return render([shown] if shown.path else [])


@routes.get(PATH, summary="Show an environment", response_model=EnvironmentView, responses=answers(EXAMPLE, *GUARDED))
@requires(Scope.ENVIRONMENTS_READ)
async def show_environment(request: Request) -> Response:
    """Where its programs are, which generation is live and what is in it."""
    actor, held = actor_of(request), services(request)
    return render(await calls.read(request, lambda session: _view(session, held, actor)))


@routes.get(
    f"{PATH}/generations", summary="List generations", response_model=list[GenerationView], responses=answers([GENERATION], *GUARDED)
)
@requires(Scope.ENVIRONMENTS_READ)
async def list_generations(request: Request) -> Response:
    """The newest first."""
    actor = actor_of(request)

    def look(session: Session) -> list[GenerationView]:
        environment = access.environment(session, actor, activations.SOURCE, activations.DEFAULT_ENVIRONMENT)
        found = history.views(session, environment) if environment else []
        return [GenerationView(one.number, one.current, one.created_at, _members(actor, one.packages)) for one in found]

    return render(await calls.read(request, look))


@routes.post(
    f"{PATH}/rollback",
    summary="Roll back",
    response_model=EnvironmentView,
    responses=answers(EXAMPLE | {"generation": 2}, *GUARDED, 404, 409, *WITH_BODY),
)
@requires(Scope.ENVIRONMENTS_ACTIVATE)
async def roll_back(request: Request, body: Rollback | None = None) -> Response:
    """Makes live what was live before, or the generation `to`, in one rename."""
    actor, held = actor_of(request), services(request)
    await calls.change(request, lambda bench: activations.roll_back(bench, actor, body.to if body else None))
    return render(await calls.read(request, lambda session: _view(session, held, actor)))


@routes.post(
    f"{PATH}/switch",
    summary="Switch to a generation",
    response_model=EnvironmentView,
    responses=answers(EXAMPLE, *GUARDED, 404, 409, *WITH_BODY),
)
@requires(Scope.ENVIRONMENTS_ACTIVATE)
async def switch_environment(request: Request, body: Switching) -> Response:
    """Makes any earlier, or later, generation live, in one rename."""
    actor, held = actor_of(request), services(request)
    check = body.health_check.parse() if body.health_check else None
    await calls.change(request, lambda bench: activations.switch(bench, actor, body.generation, check))
    return render(await calls.read(request, lambda session: _view(session, held, actor)))


def _view(session: Session, held: Services, actor: Actor) -> EnvironmentView:
    environment = access.environment(session, actor, activations.SOURCE, activations.DEFAULT_ENVIRONMENT)
    if environment is None:
        return EnvironmentView(activations.SOURCE, activations.DEFAULT_ENVIRONMENT, None, None, [])
    live = history.members(session, environment.id, environment.generation)
    return EnvironmentView(
        environment.source, environment.name, str(held.host.profile(environment.id)), environment.generation, _members(actor, live)
    )


def _members(actor: Actor, members: tuple[Member, ...]) -> list[MemberView]:
    """Those that the actor's token covers: of the others it says nothing, as the lists of packages and jobs."""
    return [MemberView(one.package_id, one.name, one.version) for one in members if matches(actor.resources, one.name)]
