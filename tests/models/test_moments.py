"""Moments are aware and in UTC, whatever the database keeps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy.exc import StatementError

from example.config import Settings
from example.db import Database
from example.models import User, now


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = Database(settings)
    yield opened
    opened.close()


def test_a_moment_comes_back_as_the_same_moment_in_utc(database: Database) -> None:
    moment = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    database.transact(lambda session: session.add(User(username="a", created_at=moment)))
    with database.read() as session:
        found = session.query(User).one()
        assert found.created_at == moment
        assert found.created_at.utcoffset() == timedelta(0)
        assert found.disabled_at is None


def test_a_naive_moment_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="naive datetime"):
        database.transact(lambda session: session.add(User(username="a", created_at=datetime(2026, 3, 1))))  # noqa: DTZ001


def test_now_is_aware() -> None:
    assert now().utcoffset() == timedelta(0)
