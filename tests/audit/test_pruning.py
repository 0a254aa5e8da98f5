"""Retention: what is old goes from the front, and what stays is still a chain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from example.audit.chain import COLUMNS, AuditBroken, link
from example.audit.entries import append
from example.audit.pruning import prune
from example.audit.verify import verify
from example.db import Database
from tests.audit.written import KEY, OLD_KEY, entry, head_of, only_sqlite, stored, tamper, write

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def daily(database: Database) -> Database:
    """Entries 1 to 9, one a day from START."""
    return write_days(database, *range(9))


def write_days(database: Database, *days: int) -> Database:
    moments = [int((START + timedelta(days=day)).timestamp() * 1e6) for day in days]
    database.transact(lambda session: append(session, KEY, [entry(at=at) for at in moments]))
    return database


def count(database: Database) -> int:
    with database.engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM audit").scalar_one())


def test_entries_older_than_the_moment_are_deleted(daily: Database) -> None:
    assert prune(daily, [KEY], START + timedelta(days=4)) == 4
    assert [one.seq for one in stored(daily)] == [5, 6, 7, 8, 9]


def test_what_stays_is_sound_and_can_be_added_to(daily: Database) -> None:
    prune(daily, [KEY], START + timedelta(days=4))
    write(daily)
    found = verify(daily, [KEY])
    assert (found.entries, found.first, found.last) == (6, 5, 10)


@only_sqlite
def test_the_head_keeps_the_hash_of_the_last_that_was_deleted(daily: Database) -> None:
    fourth = stored(daily)[3]
    prune(daily, [KEY], START + timedelta(days=4))
    head = head_of(daily)
    assert head is not None
    assert (head.pruned_seq, head.pruned_hash) == (4, fourth.hash)


@only_sqlite
def test_everything_may_go(daily: Database) -> None:
    assert prune(daily, [KEY], START + timedelta(days=99)) == 9
    assert verify(daily, [KEY]).entries == 0
    write(daily)
    assert [one.seq for one in stored(daily)] == [10]


@only_sqlite
def test_nothing_is_deleted_when_nothing_is_old(daily: Database) -> None:
    before = head_of(daily)
    assert prune(daily, [KEY], START) == 0
    assert head_of(daily) == before


@only_sqlite
def test_an_audit_without_entries_has_nothing_to_prune(database: Database) -> None:
    assert prune(database, [KEY], START) == 0
    assert head_of(database) is None


@only_sqlite
def test_an_old_entry_behind_a_newer_one_stays(database: Database) -> None:
    write_days(database, 0, 5, 1)
    assert prune(database, [KEY], START + timedelta(days=3)) == 1
    assert verify(database, [KEY]).entries == 2


@only_sqlite
@pytest.mark.parametrize(("at_most", "transactions"), [(3, 4), (4, 3), (100, 1)])
def test_a_transaction_deletes_no_more_than_it_may(daily: Database, at_most: int, transactions: int) -> None:
    commits: list[int] = []
    event.listen(daily.engine, "commit", lambda _: commits.append(1))
    assert prune(daily, [KEY], START + timedelta(days=99), at_most) == 9
    assert len(commits) == transactions


@only_sqlite
def test_what_is_pruned_twice_is_sound_still(daily: Database) -> None:
    assert [prune(daily, [KEY], START + timedelta(days=days)) for days in (2, 2, 6)] == [2, 0, 4]
    assert verify(daily, [KEY]).first == 7


@only_sqlite
def test_the_new_seal_is_of_the_present_key(daily: Database) -> None:
    prune(daily, [OLD_KEY, KEY], START + timedelta(days=4))
    assert verify(daily, [OLD_KEY]).entries == 5


@only_sqlite
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET action = 'harmless' WHERE seq = 2",
        "UPDATE audit SET at = 'long ago' WHERE seq = 2",
        "UPDATE audit SET agent = CAST(x'ff' AS TEXT) WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "UPDATE audit_head SET pruned_seq = 1",
    ],
)
def test_evidence_is_not_pruned(daily: Database, statement: str) -> None:
    tamper(daily, statement)
    left = count(daily)
    with pytest.raises(AuditBroken):
        prune(daily, [KEY], START + timedelta(days=4))
    assert count(daily) == left


@only_sqlite
def test_an_end_that_was_written_anew_is_not_pruned(daily: Database) -> None:
    forge_end(daily)
    with pytest.raises(AuditBroken, match="sealed with"):
        prune(daily, [KEY], START + timedelta(days=99))
    assert len(stored(daily)) == 9


def forge_end(database: Database) -> None:
    """Change the last entry, and its hash so that it follows."""
    rows = stored(database)
    values = [getattr(rows[-1], name) for name in COLUMNS]
    values[COLUMNS.index("action")] = "harmless"
    tamper(database, "UPDATE audit SET action = 'harmless', hash = :hash WHERE seq = 9", hash=link(rows[-2].hash, values))
