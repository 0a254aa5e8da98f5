"""What the database knows of environments: generations, who is in them, the journal. One transaction of its caller each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from example.db import insert_for
from example.identity.actor import Actor
from example.models import Environment, Generation, GenerationPackage, Package, Switch, now


@dataclass(frozen=True)
class Member:
    """A package of a generation; ``package_id`` is ``None`` when its record was deleted since."""

    package_id: int | None
    name: str
    version: str
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class GenerationView:
    """A generation as it is shown."""

    number: int
    current: bool
    created_at: datetime
    packages: tuple[Member, ...]


def get_or_create(session: Session, workspace_id: int, source: str, name: str) -> Environment:
    """The environment; it comes into being at its first use."""
    values = {"workspace_id": workspace_id, "source": source, "name": name}
    session.execute(insert_for(session)(Environment).values(**values, created_at=now()).on_conflict_do_nothing())
    return session.scalars(select(Environment).filter_by(**values)).one()


def members(session: Session, environment_id: int, number: int | None) -> tuple[Member, ...]:
    """Who is in a generation; nobody in one that is not known."""
    query = (
        select(GenerationPackage)
        .join(Generation, Generation.id == GenerationPackage.generation_id)
        .where(Generation.environment_id == environment_id, Generation.number == number)
        .order_by(GenerationPackage.name)
    )
    return tuple(Member(row.package_id, row.name, row.version, tuple(row.outputs)) for row in session.scalars(query))


def members_of_tree(session: Session, environment_id: int, number: int, store_path: str) -> tuple[Member, ...]:
    """Who is in the tree ``store_path`` that generation ``number`` shows: somebody may have made that number anew by hand, with another
    tree, or another number with this tree. Nobody that we know of when the tree was never recorded.
    """
    query = select(Generation.number).where(Generation.environment_id == environment_id, Generation.store_path == store_path)
    newest = query.order_by((Generation.number == number).desc(), Generation.number.desc()).limit(1)
    return members(session, environment_id, session.scalar(newest))


def find(session: Session, environment_id: int, number: int) -> Generation | None:
    """One generation of an environment."""
    return session.scalar(select(Generation).where(Generation.environment_id == environment_id, Generation.number == number))


def views(session: Session, environment: Environment) -> list[GenerationView]:
    """Every generation, the newest first."""
    query = select(Generation).where(Generation.environment_id == environment.id).order_by(Generation.number.desc())
    return [
        GenerationView(row.number, row.number == environment.generation, row.created_at, members(session, environment.id, row.number))
        for row in session.scalars(query)
    ]


def open_switch(
    session: Session,
    environment_id: int,
    actor: Actor,
    *,
    reason: str,
    store_path: str,
    from_generation: int | None,
    wanted: Sequence[Member],
) -> int:
    """Write down what is about to happen; answers the journal entry's id."""
    entry = Switch(
        environment_id=environment_id,
        reason=reason,
        store_path=store_path,
        from_generation=from_generation,
        members=[asdict(member) for member in wanted],
        created_by=actor.user_id,
    )
    session.add(entry)
    session.flush()
    return entry.id


def note_foreign_switch(session: Session, environment: Environment, store_path: str) -> None:
    """Write down that somebody has switched the profile by hand."""
    reason, former = "switched from outside the service", environment.generation
    session.add(
        Switch(environment_id=environment.id, reason=reason, store_path=store_path, from_generation=former, members=[], outcome="done")
    )


def close_switch(session: Session, switch_id: int, outcome: str) -> None:
    """Write down what became of it: ``done``, ``failed`` or ``abandoned``."""
    session.get_one(Switch, switch_id).outcome = outcome


def previous(session: Session, environment: Environment) -> int | None:
    """What was live before what is live now: not the next lower number, which may never have worked. Changes that came to the same tree,
    and so to the same number, don't count.
    """
    done = Switch.environment_id == environment.id, Switch.outcome == "done"
    other = Switch.from_generation.is_distinct_from(environment.generation)
    return session.scalar(select(Switch.from_generation).where(*done, other).order_by(Switch.id.desc()).limit(1))


def record(session: Session, environment: Environment, number: int, store_path: str, now_live: Sequence[Member]) -> None:
    """Generation ``number`` is live, with these members."""
    generation = find(session, environment.id, number)
    if generation is None:
        generation = Generation(environment_id=environment.id, number=number, store_path=store_path)
        session.add(generation)
        session.flush()
    generation.store_path = store_path
    session.execute(delete(GenerationPackage).where(GenerationPackage.generation_id == generation.id))
    there = set(session.scalars(select(Package.id).where(Package.id.in_([member.package_id for member in now_live]))))
    session.add_all(
        GenerationPackage(
            generation_id=generation.id,
            name=member.name,
            version=member.version,
            outputs=list(member.outputs),
            package_id=member.package_id if member.package_id in there else None,
        )
        for member in now_live
    )
    environment.generation = number
    session.flush()


def clear(session: Session, environment_id: int) -> None:
    """Forget every generation and the journal: the workspace is being deleted. The row stays, so that its number is never given again."""
    session.get_one(Environment, environment_id).generation = None
    for table in (Generation, Switch):
        session.execute(delete(table).where(table.environment_id == environment_id))


def active_elsewhere(session: Session, environment: Environment, package_ids: Sequence[int]) -> set[int]:
    """Those of ``package_ids`` that another environment has active."""
    query = (
        select(GenerationPackage.package_id)
        .join(Generation, Generation.id == GenerationPackage.generation_id)
        .join(Environment, (Environment.id == Generation.environment_id) & (Environment.generation == Generation.number))
        .where(Environment.id != environment.id, GenerationPackage.package_id.in_(package_ids))
    )
    return {package_id for package_id in session.scalars(query) if package_id is not None}


def open_switches(session: Session, environment_id: int) -> list[tuple[int, str, tuple[Member, ...]]]:
    """The journal's entries without an outcome, the newest first: (id, store path, members)."""
    query = select(Switch).where(Switch.environment_id == environment_id, Switch.outcome.is_(None)).order_by(Switch.id.desc())
    return [(row.id, row.store_path, tuple(map(_member, row.members))) for row in session.scalars(query)]


def packages_being_switched(session: Session) -> set[int | None]:
    """The packages that changes under way are about to make live: they must not be deleted now."""
    return {saved["package_id"] for wanted in session.scalars(select(Switch.members).where(Switch.outcome.is_(None))) for saved in wanted}  # type: ignore[misc]


def _member(saved: dict[str, Any]) -> Member:
    return Member(saved["package_id"], saved["name"], saved["version"], tuple(saved["outputs"]))
