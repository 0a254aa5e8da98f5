"""One switch of an environment, from the decision to the truth about it: build, write the intent down, switch, check, record, or go back.

Not one transaction but three, around subprocesses: the journal first, then the switch, then what became of it. So it takes the database
instead of a session, like the worker. The caller holds the environment's lock and the store's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from example.db import Database
from example.environments import health, history
from example.environments.health import HealthCheck
from example.environments.history import Member
from example.environments.host import Host
from example.errors import ActivationFailed, Unavailable
from example.identity.actor import Actor
from example.lifecycle.reconciling import reconcile, set_active
from example.models import Environment, Package
from example.nix import profile as nix_profile
from example.nix.profile import Live


@dataclass(frozen=True)
class Bench:
    """What a change of an environment needs. ``record`` writes its audit entry, as the last thing in the transaction that completes it."""

    database: Database
    host: Host
    data_dir: Path
    record: Callable[[Session], None] = lambda _session: None


@dataclass(frozen=True)
class Change:
    """What shall be live: the members of a new generation, or the ``number`` of an old one, which shows the tree ``store_path``."""

    reason: str
    members: tuple[Member, ...] = ()
    number: int | None = None
    store_path: str | None = None


@dataclass(frozen=True)
class Switching:
    """One switch under way: from ``before``, what was really live, to ``change``."""

    bench: Bench
    actor: Actor
    environment_id: int
    profile: Path
    before: Live | None
    change: Change

    def failed(self, why: object, standing: str | None = None) -> ActivationFailed:
        """The error that says what was tried, why it failed, and what is live now."""
        unchanged = f"generation {self.before.generation} stays live" if self.before else "nothing is live, as before"
        return ActivationFailed(f"could not {self.change.reason}: {why}; {standing or unchanged}")


def make_live(this: Switching, healthy: HealthCheck | None) -> int:
    """Carry out the switch; answers the generation that is live then.

    Raises:
        ActivationFailed: what was live before is live again, unless the text says otherwise.
        Unavailable: it is live, and the database could not take it down.
    """
    try:
        target = _store_path(this)
    except nix_profile.ProfileError as error:
        raise this.failed(error) from error
    entry = this.bench.database.transact(lambda session: _intend(session, this, target))
    _switch_and_check(this, target, entry, healthy)
    return _finish(this, entry)


def _store_path(this: Switching) -> str:
    change, profile = this.change, this.profile
    if change.number is None:
        return nix_profile.build_environment(this.bench.host.runtime, [path for member in change.members for path in member.outputs])
    for generation in nix_profile.generations(profile):
        if generation.generation == change.number and generation.store_path == change.store_path:
            return generation.store_path
    raise nix_profile.ProfileError(f"generation {change.number} is recorded, and {profile.parent} has no link to its tree any more")


def _intend(session: Session, this: Switching, target: str) -> int:
    """Write down what is about to happen. From here on the members can't be deleted: they are locked while this looks for them."""
    wanted = {member.package_id for member in this.change.members} - {None}
    found = session.scalars(select(Package.id).where(Package.id.in_(wanted)).order_by(Package.id).with_for_update())
    if this.change.number is None and wanted - set(found):
        raise this.failed("a package of it was deleted meanwhile")
    return history.open_switch(
        session,
        this.environment_id,
        this.actor,
        reason=this.change.reason,
        store_path=target,
        from_generation=this.before.generation if this.before else None,
        wanted=this.change.members,
    )


def _switch_and_check(this: Switching, target: str, entry: int, healthy: HealthCheck | None) -> None:
    bench, profile, runtime = this.bench, this.profile, this.bench.host.runtime
    try:
        if this.change.number is not None:
            nix_profile.switch(runtime, profile, this.change.number)
        else:
            nix_profile.set_profile(runtime, profile, target)
        if healthy is not None:
            health.run(healthy, profile, runtime.wrap)
    except Exception as error:
        standing = _go_back(this)
        if nix_profile.live(profile) == this.before:
            bench.database.transact(lambda session: history.close_switch(session, entry, "failed"))
        else:
            reconcile(bench.database, this.environment_id, profile)
        if isinstance(error, nix_profile.ProfileError | health.Unhealthy):
            raise this.failed(error, standing) from error
        raise


def _finish(this: Switching, entry: int) -> int:
    now_live = nix_profile.live(this.profile)
    assert now_live is not None, "a profile that was just set is there"

    def record(session: Session) -> None:
        environment = session.get_one(Environment, this.environment_id)
        set_active(session, environment, now_live.generation, now_live.store_path, this.change.members)
        history.close_switch(session, entry, "done")
        this.bench.record(session)

    try:
        this.bench.database.transact(record)
    except SQLAlchemyError as error:
        detail = f"generation {now_live.generation} is live, and the database did not take it down; the next change, or start, does"
        raise Unavailable(detail) from error
    return now_live.generation


def _go_back(this: Switching) -> str:
    """Undo a switch, to what was really live before; answers a sentence about what is live now, read from the profile."""
    profile, before = this.profile, this.before
    tried = nix_profile.live(profile)
    try:
        if before is None:
            profile.unlink(missing_ok=True)
        elif tried != before:
            nix_profile.switch(this.bench.host.runtime, profile, before.generation)
    except (nix_profile.ProfileError, OSError) as error:
        stands = nix_profile.live(profile)
        return f"going back failed too ({error}): generation {stands.generation if stands else 'none'} is live now"
    if tried is not None and tried != before and not _is_known(this, tried.generation):
        profile.with_name(f"{profile.name}-{tried.generation}-link").unlink(missing_ok=True)
    return f"generation {before.generation} is live again" if before else "nothing is live, as before"


def _is_known(this: Switching, number: int) -> bool:
    with this.bench.database.read() as session:
        return history.find(session, this.environment_id, number) is not None
