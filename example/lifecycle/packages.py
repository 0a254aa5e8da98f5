"""The verbs on packages that need no background work: create, look at, list, delete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from example.environments import history
from example.errors import Invalid, InvalidTransition, PackageBusy, PackageExists
from example.identity import access, workspaces
from example.identity.actor import Actor
from example.identity.patterns import matches
from example.lifecycle.states import Status, count
from example.models import Environment, Generation, GenerationPackage, Package, PackageCount
from example.sources import Source


@dataclass(frozen=True)
class PackageView:
    """A package as every protocol shows it. ``size`` in bytes, with everything it needs; ``environments`` where it is active."""

    id: int
    name: str
    version: str
    source: str
    status: str
    created_at: datetime
    downloaded_at: datetime | None
    activated_at: datetime | None
    size: int | None
    artifact: str | None
    pin: str | None
    error: str | None
    task_id: str | None
    environments: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackageFilter:
    """Which packages to list; ``None`` means any."""

    source: str | None = None
    status: Status | None = None
    name: str | None = None


_SHOWN = (
    Package.id,
    Package.name,
    Package.version,
    Package.source,
    Package.status,
    Package.created_at,
    Package.downloaded_at,
    Package.activated_at,
    Package.size,
    Package.artifact,
    Package.pin,
    Package.error,
    Package.task_id,
)
_ONE = select(*_SHOWN).where(Package.workspace_id == bindparam("workspace_id"), Package.id == bindparam("package_id"))
_ACTIVE_IN = (
    select(GenerationPackage.package_id, Environment.name)
    .join(Generation, Generation.id == GenerationPackage.generation_id)
    .join(Environment, (Environment.id == Generation.environment_id) & (Environment.generation == Generation.number))
    .where(GenerationPackage.package_id.in_(bindparam("package_ids", expanding=True)))
    .order_by(Environment.name)
)


def create(session: Session, actor: Actor, sources: Mapping[str, Source], *, source: str, name: str, version: str) -> PackageView:
    """Record that the workspace wants this package.

    Raises:
        Invalid: an unknown source, or a name or version that can't be one of it.
        ResourceNotInToken: the token is limited to other names.
        PackageExists: it is recorded already.
        NotFound: somebody has just deleted the workspace.
    """
    if source not in sources:
        raise Invalid("source", f"there is no source {source!r}; use one of: {', '.join(sorted(sources))}")
    sources[source].check(name, version)
    actor.require_resource(name)
    package = Package(
        workspace_id=actor.workspace_id, source=source, name=name, version=version, status=Status.CREATED, created_by=actor.user_id
    )
    try:
        with session.begin_nested():
            session.add(package)
    except IntegrityError:
        same = Package.workspace_id == actor.workspace_id, Package.source == source, Package.name == name, Package.version == version
        existing = session.scalar(select(Package.id).where(*same))
        raise PackageExists(f"{source} package {name} {version} exists already as package {existing}", package_id=existing) from None
    workspaces.require_open(session, actor)
    count(session, package, entering=Status.CREATED)
    return view(session, package)


def show(connection: Connection | Session, actor: Actor, package_id: int) -> PackageView:
    """One package. A point read: two statements by key at most.

    Raises:
        NotFound.
    """
    row = connection.execute(_ONE, {"workspace_id": actor.workspace_id, "package_id": package_id}).first()
    if row is None or not matches(actor.resources, row.name):
        raise access.no_package(package_id)
    return _views(connection, [row])[0]


def view(session: Session, package: Package) -> PackageView:
    """The view of a row that the caller has loaded."""
    session.flush()
    return _views(session, session.execute(_ONE, {"workspace_id": package.workspace_id, "package_id": package.id}).all())[0]


def page(connection: Connection | Session, actor: Actor, wanted: PackageFilter, *, limit: int, after: int) -> list[PackageView]:
    """The packages that match, by id, those after ``after``, at most ``limit``."""
    query = select(*_SHOWN).where(*_conditions(actor, wanted), Package.id > after).order_by(Package.id).limit(limit)
    return _views(connection, connection.execute(query).all())


def total(connection: Connection | Session, actor: Actor, wanted: PackageFilter) -> int:
    """How many packages match: from the kept counts, except by name or with a token limited to some names."""
    if wanted.name is None and not actor.resources:
        kept = select(func.coalesce(func.sum(PackageCount.packages), 0)).where(PackageCount.workspace_id == actor.workspace_id)
        if wanted.source is not None:
            kept = kept.where(PackageCount.source == wanted.source)
        if wanted.status is not None:
            kept = kept.where(PackageCount.status == wanted.status)
        return int(connection.execute(kept).scalar_one())
    return int(connection.execute(select(func.count()).select_from(Package).where(*_conditions(actor, wanted))).scalar_one())


def _conditions(actor: Actor, wanted: PackageFilter) -> Iterator[ColumnElement[bool]]:
    yield access.visible_packages(actor)
    if wanted.source is not None:
        yield Package.source == wanted.source
    if wanted.status is not None:
        yield Package.status == wanted.status
    if wanted.name is not None:
        yield Package.name == wanted.name


def remove(session: Session, actor: Actor, package_id: int) -> str:
    """Delete a package's record; answers its source, which is then told to forget the artifact (after the commit).

    Raises:
        NotFound.
        PackageBusy: a job is downloading it, or a change of an environment is about to make it live.
        InvalidTransition: it is active somewhere.
    """
    package = access.package(session, actor, package_id, lock=True)
    label = f"package {package.id} ({package.name} {package.version})"
    if package.status == Status.DOWNLOADING:
        raise PackageBusy(f"{label} is being downloaded; cancel its job {package.task_id} first", task_id=package.task_id)
    if package.status == Status.ACTIVATED:
        raise InvalidTransition(f"{label} is active; deactivate it first", status_now=package.status)
    if package.id in history.packages_being_switched(session):
        raise PackageBusy(f"{label} is being made live at this moment; try again when that has ended")
    count(session, package, leaving=Status(package.status))
    session.execute(delete(Package).where(Package.id == package.id))
    return package.source


def _views(connection: Connection | Session, rows: Sequence[Row[*tuple[Any, ...]]]) -> list[PackageView]:
    active = [row.id for row in rows if row.status == Status.ACTIVATED]
    places: dict[int | None, list[str]] = {}
    if active:
        for package_id, name in connection.execute(_ACTIVE_IN, {"package_ids": active}):
            places.setdefault(package_id, []).append(name)
    return [PackageView(**row._mapping, environments=tuple(places.get(row.id, ()))) for row in rows]
