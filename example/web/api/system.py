"""Public operations about the service itself: hello, health, version, scopes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Literal

from anyio import CapacityLimiter, to_thread
from fastapi import Request, Response
from pydantic import BaseModel

from example import __version__
from example.errors import Unavailable
from example.identity.scopes import LADDERS, MEANINGS, Scope
from example.web.calls import render
from example.web.documentation import answers
from example.web.routing import PREFIX, public, router
from example.web.services import Services, services

routes = router("system", prefix="")
_probes = CapacityLimiter(4)  # threads of their own: a probe must not wait behind activations


class Hello(BaseModel):
    """The welcome."""

    message: str


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether each part can do its work: ``ok``, or what is wrong with it."""

    status: Literal["ok", "unavailable"]
    database: str
    storage: str
    jobs: str


class Version(BaseModel):
    """What is running."""

    version: str
    build: str


class ScopeEntry(BaseModel):
    """A scope and what it gives."""

    scope: Scope
    meaning: str
    includes: list[Scope]


@routes.get("/hello", summary="Say hello", response_model=Hello, responses=answers({"message": "Welcome to Package API"}))
@public
async def hello() -> Response:
    """For a first try that everything is connected."""
    return render({"message": "Welcome to Package API"})


@routes.get("/health", summary="Is the process alive?", response_model=Health, responses=answers({"status": "ok"}))
@public
async def health() -> Response:
    """Answers whenever the process runs; asks nothing else. For liveness probes."""
    return render({"status": "ok"})


@routes.get(
    "/health/ready",
    summary="Can it work?",
    response_model=Readiness,
    responses={
        **answers({"status": "ok", "database": "ok", "storage": "ok", "jobs": "ok"}),
        503: {"description": "Something is missing", "model": Readiness},
    },
)
@public
async def ready(request: Request) -> Response:
    """Asks the database, the storage and the job engine. For readiness probes: 503 says which part is missing and how to get it."""
    held = services(request)
    parts = await to_thread.run_sync(_parts, held, limiter=_probes)
    fine = all(state == "ok" for state in parts.values())
    return render({"status": "ok" if fine else "unavailable", **parts}, status=200 if fine else 503)


@routes.get(
    f"{PREFIX}/version",
    summary="Which version is this?",
    response_model=Version,
    responses=answers({"version": "0.1.0", "build": "development"}),
)
@public
async def version() -> Response:
    """The release, and the build as the environment variable `BUILD` of the image names it."""
    return render({"version": __version__, "build": os.environ.get("BUILD", "development")})


@routes.get(
    f"{PREFIX}/scopes",
    summary="The table of scopes",
    response_model=list[ScopeEntry],
    responses=answers([{"scope": "packages:publish", "meaning": "Create and publish packages", "includes": ["packages:read"]}]),
)
@public
async def scopes() -> Response:
    """Every scope that a token can have. Families are ladders: a scope includes the lower ones of its family, never another family's."""
    table = [
        {"scope": scope, "meaning": MEANINGS[scope], "includes": rungs[:position]}
        for rungs in LADDERS.values()
        for position, scope in enumerate(rungs)
    ]
    return render(table)


def _parts(held: Services) -> dict[str, str]:
    return {
        "database": _state(held.core.database.ping, "does not answer"),
        "storage": _state(lambda: _check_storage(held), "can't be written"),
        "jobs": _state(lambda: _check_jobs(held), "do not run"),
    }


def _state(check: Callable[[], None], failing: str) -> str:
    try:
        check()
    except Unavailable as error:
        return str(error)
    except Exception as error:  # a probe must say what is wrong, whatever it is
        return f"{failing}: {type(error).__name__}"
    return "ok"


def _check_storage(held: Services) -> None:
    with tempfile.TemporaryFile(dir=held.core.settings.data_dir) as probe:
        probe.write(b"ok")


def _check_jobs(held: Services) -> None:
    held.core.queue.check()
    if held.engine is not None:
        missing = held.host.runtime.missing()
        if missing:
            raise Unavailable(missing)
        if not held.engine.alive():
            raise Unavailable("the keeper has stopped; restart the service")
