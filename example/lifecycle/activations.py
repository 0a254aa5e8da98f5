"""The verbs on environments: activate, deactivate, switch, roll back. Each decides what shall be live; switching.py makes it so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from example.environments import history
from example.environments.health import HealthCheck
from example.environments.history import Member
from example.environments.host import exclusive
from example.errors import Conflict, Invalid, NotFound
from example.identity import access
from example.identity.actor import Actor
from example.lifecycle.reconciling import reconcile
from example.lifecycle.states import Status, check
from example.lifecycle.switching import Bench, Change, Switching, make_live
from example.models import Environment, Package
from example.nix import profile as nix_profile
from example.nix.lock import store_lock

DEFAULT_ENVIRONMENT = "default"
SOURCE = "nix"


def activate(bench: Bench, actor: Actor, package_id: int, healthy: HealthCheck | None = None) -> int:
    """Make a downloaded package live, in place of another version of it; answers the generation. Active already: nothing changes.

    Raises:
        NotFound.
        Invalid: a limited token's health check would run another package's program.
        InvalidTransition: it is not downloaded yet.
        ActivationFailed: a conflict of files, an unhealthy generation, or Nix itself; the text says what is live now.
    """

    def plan(session: Session, live: tuple[Member, ...]) -> Change | None:
        package = _activatable(session, actor, package_id)
        wanted = Member(package.id, package.name, package.version, tuple(package.outputs or ()))
        if wanted in live:
            return None
        others = tuple(member for member in live if member.name != wanted.name)
        return Change(f"activate {package.name} {package.version}", (*others, wanted))

    with bench.database.read() as session:  # refuse before the environment comes into being
        package = _activatable(session, actor, package_id)
    if actor.resources and healthy is not None and healthy.command is not None:
        _require_own_program(package, healthy.command[0])
    return _change(bench, actor, plan, healthy)


def _require_own_program(package: Package, program: str) -> None:
    """With a limited token, a health check runs nothing but the package itself: another's shell would reach everything on this host."""
    if not any((Path(output) / "bin" / program).exists() for output in package.outputs or ()):
        raise Invalid("health_check.command", f"{package.name} has no program {program!r}, and your token is limited to some packages")


def _activatable(session: Session, actor: Actor, package_id: int) -> Package:
    package = access.package(session, actor, package_id)
    if package.status != Status.ACTIVATED:
        check(package, Status.ACTIVATED)
    return package


def deactivate(bench: Bench, actor: Actor, package_id: int) -> int | None:
    """Make a generation without the package live; answers it. Not active: nothing changes.

    Raises:
        NotFound, ActivationFailed.
    """

    def plan(session: Session, live: tuple[Member, ...]) -> Change | None:
        package = access.package(session, actor, package_id)
        rest = tuple(member for member in live if member.package_id != package_id)
        return None if rest == live else Change(f"deactivate {package.name} {package.version}", rest)

    with bench.database.read() as session:
        access.package(session, actor, package_id)
        if access.environment(session, actor, SOURCE, DEFAULT_ENVIRONMENT) is None:
            return None
    return _change(bench, actor, plan, None) or None


def switch(bench: Bench, actor: Actor, number: int, healthy: HealthCheck | None = None) -> int:
    """Make an earlier generation live again: one rename, nothing is built.

    Raises:
        NotFound: there is no such generation.
        ResourceNotInToken: a package would come or go that the actor's token doesn't cover.
        Invalid: a limited token's health check would run a program.
        ActivationFailed.
    """
    environment = existing(bench, actor)
    if actor.resources and healthy is not None and healthy.command is not None:
        raise Invalid("health_check.command", "with a token limited to some packages, check a switch by url")

    def plan(session: Session, live: tuple[Member, ...]) -> Change | None:
        generation = history.find(session, environment.id, number)
        if generation is None:
            known = [view.number for view in history.views(session, environment)]
            raise NotFound(f"there is no generation {number}; there are: {', '.join(map(str, known)) or 'none'}")
        members = history.members(session, environment.id, number)
        for member in set(live) ^ set(members):  # a limited token decides about no other package, neither that it comes nor that it goes
            actor.require_resource(member.name)
        return Change(f"switch to generation {number}", members, number, generation.store_path)

    return _change(bench, actor, plan, healthy)


def roll_back(bench: Bench, actor: Actor, to: int | None = None) -> int:
    """Make live what was live before, or generation ``to``.

    Raises:
        Conflict: nothing was live before.
        NotFound, ActivationFailed: as ``switch``.
    """
    environment = existing(bench, actor)
    with bench.database.read() as session:
        target = to if to is not None else history.previous(session, environment)
    if target is None:
        raise Conflict("nothing was live before the current generation, so there is nothing to roll back to")
    return switch(bench, actor, target)


def existing(bench: Bench, actor: Actor) -> Environment:
    """The actor's environment.

    Raises:
        NotFound: nothing was ever activated in it.
    """
    with bench.database.read() as session:
        environment = access.environment(session, actor, SOURCE, DEFAULT_ENVIRONMENT)
    if environment is None:
        raise NotFound(f"the environment {SOURCE}/{DEFAULT_ENVIRONMENT} comes into being when the first package is activated")
    return environment


Plan = Callable[[Session, tuple[Member, ...]], Change | None]


def _change(bench: Bench, actor: Actor, plan: Plan, healthy: HealthCheck | None) -> int:
    """Carry out what ``plan`` makes of what is really live; answers the generation that is live then, 0 for none."""
    environment_id = bench.database.transact(
        lambda session: history.get_or_create(session, actor.workspace_id, SOURCE, DEFAULT_ENVIRONMENT).id
    )
    with exclusive(bench.host, environment_id) as profile, store_lock(bench.data_dir).shared():
        reconcile(bench.database, environment_id, profile)
        before = nix_profile.live(profile)
        with bench.database.read() as session:
            live = history.members(session, environment_id, before.generation) if before else ()
            change = plan(session, live)
        if change is None or (before and change.number == before.generation):
            return before.generation if before else 0
        return make_live(Switching(bench, actor, environment_id, profile, before, change), healthy)
