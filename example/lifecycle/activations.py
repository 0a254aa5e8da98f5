"""The verbs on environments: activate, deactivate, switch, roll back. Each makes one generation live, checks it, and tells the truth.

Not one transaction but three, around subprocesses: the journal first, then the switch, then what became of it. So these verbs take the
database instead of a session, like the worker's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from example.db import Database
from example.environments import health, history
from example.environments.health import HealthCheck
from example.environments.history import Member
from example.environments.host import Host, exclusive
from example.errors import ActivationFailed, Conflict, NotFound, Unavailable
from example.identity import access
from example.identity.actor import Actor
from example.lifecycle.reconciling import reconcile, set_active
from example.lifecycle.states import Status, check
from example.models import Environment, Package
from example.nix import profile as nix_profile
from example.nix.lock import store_lock

DEFAULT_ENVIRONMENT = "default"
SOURCE = "nix"


@dataclass(frozen=True)
class Bench:
    """What a change of an environment needs."""

    database: Database
    host: Host
    data_dir: Path


@dataclass(frozen=True)
class Change:
    """What shall be live: the members of a new generation, or the ``number`` of an old one, which shows the tree ``store_path``."""

    reason: str
    members: tuple[Member, ...] = ()
    number: int | None = None
    store_path: str | None = None


def activate(bench: Bench, actor: Actor, package_id: int, healthy: HealthCheck | None = None) -> int:
    """Make a downloaded package live, in place of another version of it; answers the generation. Active already: nothing changes.

    Raises:
        NotFound.
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
        _activatable(session, actor, package_id)
    return _change(bench, actor, plan, healthy)


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
    return _change(bench, actor, plan, None)


def switch(bench: Bench, actor: Actor, number: int, healthy: HealthCheck | None = None) -> int:
    """Make an earlier generation live again: one rename, nothing is built.

    Raises:
        NotFound: there is no such generation.
        ActivationFailed.
    """
    environment = existing(bench, actor)

    def plan(session: Session, live: tuple[Member, ...]) -> Change | None:
        generation = history.find(session, environment.id, number)
        if generation is None:
            known = [view.number for view in history.views(session, environment)]
            raise NotFound(f"there is no generation {number}; there are: {', '.join(map(str, known)) or 'none'}")
        return Change(f"switch to generation {number}", history.members(session, environment.id, number), number, generation.store_path)

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
        return _make_live(bench, actor, environment_id, profile, change, before, healthy)


def _make_live(
    bench: Bench,
    actor: Actor,
    environment_id: int,
    profile: Path,
    change: Change,
    before: nix_profile.Live | None,
    healthy: HealthCheck | None,
) -> int:
    runtime = bench.host.runtime
    standing = f"generation {before.generation} stays live" if before else "nothing is live, as before"
    try:
        target = _store_path(bench, profile, change)
    except nix_profile.ProfileError as error:
        raise ActivationFailed(f"could not {change.reason}: {error}; {standing}") from error
    entry = bench.database.transact(
        lambda session: history.open_switch(
            session,
            environment_id,
            actor,
            reason=change.reason,
            store_path=target,
            from_generation=before.generation if before else None,
            wanted=change.members,
        )
    )
    try:
        if change.number is not None:
            nix_profile.switch(runtime, profile, change.number)
        else:
            nix_profile.set_profile(runtime, profile, target)
        if healthy is not None:
            health.run(healthy, profile, runtime.wrap)
    except Exception as error:
        standing = _go_back(bench, profile, before)
        if nix_profile.live(profile) == before:
            bench.database.transact(lambda session: history.close_switch(session, entry, "failed"))
        else:
            reconcile(bench.database, environment_id, profile)
        if isinstance(error, nix_profile.ProfileError | health.Unhealthy):
            raise ActivationFailed(f"could not {change.reason}: {error}; {standing}") from error
        raise
    now_live = nix_profile.live(profile)
    assert now_live is not None, "a profile that was just set is there"

    def finish(session: Session) -> None:
        environment = session.get_one(Environment, environment_id)
        set_active(session, environment, now_live.generation, now_live.store_path, change.members)
        history.close_switch(session, entry, "done")

    try:
        bench.database.transact(finish)
    except SQLAlchemyError as error:
        detail = f"generation {now_live.generation} is live, and the database did not take it down; the next change, or start, does"
        raise Unavailable(detail) from error
    return now_live.generation


def _store_path(bench: Bench, profile: Path, change: Change) -> str:
    if change.number is None:
        return nix_profile.build_environment(bench.host.runtime, [path for member in change.members for path in member.outputs])
    for generation in nix_profile.generations(profile):
        if generation.generation == change.number and generation.store_path == change.store_path:
            return generation.store_path
    raise nix_profile.ProfileError(f"generation {change.number} is recorded, and {profile.parent} has no link to its tree any more")


def _go_back(bench: Bench, profile: Path, before: nix_profile.Live | None) -> str:
    """Undo a switch, to what was really live before; answers a sentence about what is live now, read from the profile."""
    tried = nix_profile.live(profile)
    try:
        if before is None:
            profile.unlink(missing_ok=True)
        elif tried != before:
            nix_profile.switch(bench.host.runtime, profile, before.generation)
    except (nix_profile.ProfileError, OSError) as error:
        stands = nix_profile.live(profile)
        return f"going back failed too ({error}): generation {stands.generation if stands else 'none'} is live now"
    if tried is not None and tried != before:
        tried_link = profile.with_name(f"{profile.name}-{tried.generation}-link")
        known = _is_known(bench, profile, tried.generation)
        if not known:
            tried_link.unlink(missing_ok=True)
    return f"generation {before.generation} is live again" if before else "nothing is live, as before"


def _is_known(bench: Bench, profile: Path, number: int) -> bool:
    with bench.database.read() as session:
        return history.find(session, int(profile.parent.name), number) is not None
