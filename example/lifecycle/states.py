"""The one table of statuses, and the one place where a status changes. The table is pure; ``move`` keeps the counts in step."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy.orm import Session

from example.db import insert_for
from example.errors import InvalidTransition
from example.models import Package, PackageCount


class Status(StrEnum):
    """How far a package has come."""

    CREATED = "created"
    DOWNLOADING = "downloading"
    DOWNLOADED = "downloaded"
    ACTIVATED = "activated"
    FAILED = "failed"


TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.CREATED: frozenset({Status.DOWNLOADING}),
    Status.DOWNLOADING: frozenset({Status.DOWNLOADED, Status.FAILED}),
    Status.FAILED: frozenset({Status.DOWNLOADING}),
    Status.DOWNLOADED: frozenset({Status.ACTIVATED, Status.DOWNLOADING}),  # again, when the store has lost it
    Status.ACTIVATED: frozenset({Status.DOWNLOADED}),
}

_REMEDY: dict[Status, str] = {
    Status.CREATED: "download it first",
    Status.DOWNLOADING: "wait for its job, or cancel it",
    Status.FAILED: "download it again",
    Status.DOWNLOADED: "activate it",
    Status.ACTIVATED: "deactivate it first",
}


def check(package: Package, target: Status) -> None:
    """Raises:
    InvalidTransition: the table has no way from the package's status to ``target``; says what to do.
    """
    current = Status(package.status)
    if target not in TRANSITIONS[current]:
        raise InvalidTransition(
            f"package {package.id} ({package.name} {package.version}) is {current}, so it can't become {target}; {_REMEDY[current]}",
            status_now=current.value,
        )


def move(session: Session, package: Package, target: Status) -> None:
    """Give the package another status, if the table allows it, and keep the counts.

    Raises:
        InvalidTransition.
    """
    check(package, target)
    count(session, package, leaving=Status(package.status), entering=target)
    package.status = target


def count(session: Session, package: Package, *, leaving: Status | None = None, entering: Status | None = None) -> None:
    """Keep ``package_counts`` in step, rows always in one order: two transactions never wait for each other in a circle."""
    changes = {status: delta for status, delta in ((leaving, -1), (entering, 1)) if status is not None}
    insert = insert_for(session)
    for status, delta in sorted(changes.items()):
        statement = insert(PackageCount).values(
            workspace_id=package.workspace_id, source=package.source, status=status.value, packages=max(delta, 0)
        )
        columns = [PackageCount.workspace_id, PackageCount.source, PackageCount.status]
        session.execute(statement.on_conflict_do_update(index_elements=columns, set_={"packages": PackageCount.packages + delta}))
