"""A database of its own for the verbs on accounts, and keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from example.config import Settings
from example.db import Database
from example.identity.keys import Keys, derive_keys


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = Database(settings)
    yield opened
    opened.close()


@pytest.fixture
def keys() -> Keys:
    return derive_keys("k" * 40)
