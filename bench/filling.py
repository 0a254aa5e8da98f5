"""Databases of a known size, written through SQLAlchemy in bulk, with the counts that the service keeps beside its packages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from example.config import Settings
from example.db import Database
from example.models import Package, PackageCount, Workspace, initialize

VERSIONS = 10
"""Each name has as many versions: a page by name has the same length whatever the database's size."""
RARE = 10
"""As many packages are ``activated``, the last ones: the needles of the haystack."""
RARE_STATUS = "activated"
CHUNK = 10_000
_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
_MIX = ("created", "downloaded", "downloaded", "downloaded", "failed")


def fill(data_dir: Path, packages: int) -> None:
    """A database in ``data_dir`` with this many packages: ids from 1 without a gap, ``package-0`` to as many names as it takes."""
    settings = Settings(_env_file=None, data_dir=data_dir, db_path=None, database_url=None)
    initialize(settings)
    database = Database(settings)
    try:
        with database.begin() as session:
            workspace_id = session.scalars(select(Workspace.id)).one()
            counts: Counter[str] = Counter()
            rows: list[dict[str, Any]] = []
            for row in _rows(workspace_id, packages):
                counts[row["status"]] += 1
                rows.append(row)
                if len(rows) == CHUNK or row["id"] == packages:
                    session.execute(insert(Package), rows)
                    rows = []
            kept = [{"workspace_id": workspace_id, "source": "nix", "status": status, "packages": n} for status, n in counts.items()]
            session.execute(insert(PackageCount), kept)
    finally:
        database.close()


def name_of(number: int) -> str:
    """The name of package ``number``, counted from 1."""
    return f"package-{(number - 1) // VERSIONS}"


def _rows(workspace_id: int, packages: int) -> Iterator[dict[str, Any]]:
    for number in range(1, packages + 1):
        status = RARE_STATUS if number > packages - RARE else _MIX[number % len(_MIX)]
        here = status in ("downloaded", "activated")
        name, version = name_of(number), f"1.{(number - 1) % VERSIONS}.0"
        moment = _BEGINNING + timedelta(seconds=number)
        path = f"/nix/store/{number:032d}-{name}-{version}"
        yield {
            "id": number,
            "workspace_id": workspace_id,
            "source": "nix",
            "name": name,
            "version": version,
            "status": status,
            "created_at": moment,
            "downloaded_at": moment + timedelta(seconds=2) if here else None,
            "activated_at": moment + timedelta(seconds=3) if status == "activated" else None,
            "size": 1000 + number if here else None,
            "artifact": path if here else None,
            "outputs": [path] if here else None,
            "derivation": f"{path}.drv" if here else None,
            "pin": "demo" if here else None,
            "error": "the builder ended with code 1: make: *** [all] Error 2" if status == "failed" else None,
        }
