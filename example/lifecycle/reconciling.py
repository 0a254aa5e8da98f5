"""What is live, according to the profile, becomes what the database says: after every change, and after a kill in the middle of one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import structlog
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from example.db import Database
from example.environments import history
from example.environments.history import Member
from example.environments.host import Host, exclusive, take_down
from example.errors import EnvironmentBusy
from example.lifecycle.states import Status, move
from example.models import Environment, Package, Workspace, now
from example.nix import profile as nix_profile

log = structlog.get_logger("example.lifecycle")


def set_active(session: Session, environment: Environment, number: int, store_path: str, members: Sequence[Member]) -> None:
    """Generation ``number`` is live: record it, and move the packages that came and went."""
    before = {member.package_id for member in history.members(session, environment.id, environment.generation)}
    history.record(session, environment, number, store_path, members)
    after = {member.package_id for member in members}
    touched = [package_id for package_id in before | after if package_id is not None]
    elsewhere = history.active_elsewhere(session, environment, touched)
    for package in session.scalars(select(Package).where(Package.id.in_(touched)).order_by(Package.id).with_for_update()):
        if package.id in after and package.status == Status.DOWNLOADED:
            move(session, package, Status.ACTIVATED)
            package.activated_at = now()
        elif package.id not in after | elsewhere and package.status == Status.ACTIVATED:
            move(session, package, Status.DOWNLOADED)
            package.activated_at = None


def reconcile(database: Database, environment_id: int, profile: Path) -> None:
    """Compare the journal and the database with ``readlink`` of the profile, and write down what is true. Under the environment's lock."""
    live = nix_profile.live(profile)
    with database.read() as session:
        environment = session.get_one(Environment, environment_id)
        unfinished = history.open_switches(session, environment_id)
        known = history.find(session, environment_id, environment.generation) if environment.generation is not None else None
        if not unfinished and live == (nix_profile.Live(known.number, known.store_path) if known else None):
            return
    database.transact(lambda session: _write_truth(session, environment_id, live))


def _write_truth(session: Session, environment_id: int, live: nix_profile.Live | None) -> None:
    environment = session.get_one(Environment, environment_id)
    members: tuple[Member, ...] | None = None
    for entry, store_path, wanted in history.open_switches(session, environment_id):
        happened = members is None and live is not None and live.store_path == store_path and live.generation != environment.generation
        history.close_switch(session, entry, "done" if happened else "abandoned")
        members = wanted if happened else members
    log.warning("environment_reconciled", environment_id=environment_id, live=live.generation if live else None)
    if members is None and environment.generation != (live.generation if live else None):
        history.note_foreign_switch(session, environment, live.store_path if live else "")
    if live is None:
        _nothing_live(session, environment)
        return
    if members is None:
        members = history.members_of_tree(session, environment_id, live.generation, live.store_path)
    set_active(session, environment, live.generation, live.store_path, members)


def _nothing_live(session: Session, environment: Environment) -> None:
    gone = [m.package_id for m in history.members(session, environment.id, environment.generation) if m.package_id is not None]
    environment.generation = None
    session.flush()
    elsewhere = history.active_elsewhere(session, environment, gone)
    for package in session.scalars(select(Package).where(Package.id.in_(gone)).order_by(Package.id).with_for_update()):
        if package.id not in elsewhere and package.status == Status.ACTIVATED:
            move(session, package, Status.DOWNLOADED)
            package.activated_at = None


def reconcile_all(database: Database, host: Host) -> None:
    """At the start: every environment of this host. One that is being changed at this moment is left to who is changing it."""
    sweep(database, host)
    with database.read() as session:
        ids = list(session.scalars(_of_workspaces(deleted=False)))
    for environment_id in ids:
        if not host.profile(environment_id).parent.exists():
            log.warning("environment_not_here", environment_id=environment_id)  # another host's, or another DATA_DIR
            continue
        with suppress(EnvironmentBusy), exclusive(host, environment_id, patience=0) as profile:
            reconcile(database, environment_id, profile)


def sweep(database: Database, host: Host) -> None:
    """Take down what this host still has of workspaces that were deleted: elsewhere, or by a process that died over it."""
    with database.read() as session:
        ids = list(session.scalars(_of_workspaces(deleted=True)))
    for environment_id in ids:
        if host.profile(environment_id).parent.exists():
            with suppress(EnvironmentBusy, OSError), exclusive(host, environment_id, patience=0):
                take_down(host, environment_id)


def _of_workspaces(*, deleted: bool) -> Select[int]:
    condition = Workspace.deleted_at.is_not(None) if deleted else Workspace.deleted_at.is_(None)
    return select(Environment.id).join(Workspace, Workspace.id == Environment.workspace_id).where(condition)
