"""A source that does what a test tells it, in the running service; and an actor for verbs that are called without HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import cast

from sqlalchemy import select

from example.core import Core
from example.identity.actor import Actor
from example.identity.roles import Role
from example.identity.scopes import Scope
from example.models import User, now
from example.sources import Artifact, FetchRequest, Report, Source
from example.sources.nix import NixSource
from tests.service import Service

Step = Callable[[FetchRequest, Report], Awaitable[Artifact]]


class Scripted(NixSource):
    """The Nix source, whose fetches are the test's own steps, one each; the last one goes on for ever."""

    steps: list[Step]
    fetches: int
    forgotten: list[int]

    async def fetch(self, request: FetchRequest, report: Report) -> Artifact:
        step = self.steps[min(self.fetches, len(self.steps) - 1)]
        self.fetches += 1
        return await step(request, report)

    def forget(self, package_id: int) -> None:
        self.forgotten.append(package_id)


def script(service: Service, *steps: Step) -> Scripted:
    """Let the service's downloads do these steps."""
    source = Scripted.from_settings(service.settings)
    source.steps, source.fetches, source.forgotten = list(steps), 0, []
    cast(dict[str, Source], core_of(service).sources)["nix"] = source
    return source


def core_of(service: Service) -> Core:
    """The collaborators of the service in this process."""
    assert service.services is not None
    return service.services.core


def gives(path: str = "/nowhere/store/x-hello") -> Step:
    """A fetch that works."""

    async def step(request: FetchRequest, report: Report) -> Artifact:
        return Artifact(path, (path,), f"{path}.drv", "test", 7)

    return step


def raises(error: Exception) -> Step:
    """A fetch that fails."""

    async def step(request: FetchRequest, report: Report) -> Artifact:
        raise error

    return step


class Held:
    """A fetch that waits until the test lets it go on, and says whether it was cancelled."""

    def __init__(self, then: Step | None = None) -> None:
        self.begun, self.go_on, self.cancelled = threading.Event(), threading.Event(), threading.Event()
        self.says: list[str] = []
        self._then = then or gives()

    async def __call__(self, request: FetchRequest, report: Report) -> Artifact:
        self.begun.set()
        try:
            while not self.go_on.is_set():
                while self.says:
                    report.log(self.says.pop(0))
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return await self._then(request, report)


def actor_of(service: Service) -> Actor:
    """The user whose token the tests send, with every scope."""
    with core_of(service).database.read() as session:
        user = session.scalars(select(User).order_by(User.id)).first()
    assert user is not None
    everything = frozenset(Scope)
    return Actor(
        user.id,
        user.username,
        True,
        1,
        "default",
        Role.OWNER,
        "pat",
        "token pm_test",
        None,
        "pm_test",
        None,
        ("*",),
        everything,
        (),
        (),
        now(),
    )
