"""A fresh database of each kind, and one with entries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from example.config import Settings
from example.db import Database
from tests.audit.written import write


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = Database(settings)
    yield opened
    opened.close()


@pytest.fixture
def written(database: Database) -> Database:
    """A database with five entries."""
    write(database, 5)
    return database
