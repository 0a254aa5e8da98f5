"""Reading: pages newest first, everything oldest first, by any filter and through the indexes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from example.audit.entries import append
from example.audit.reading import AuditFilter, EntryView, export, page
from example.db import Database
from example.models import User
from tests.audit.written import KEY, entry, only_sqlite, stored, write

START = datetime(2026, 1, 1, tzinfo=UTC)
NOON = int((START + timedelta(hours=12, microseconds=1)).timestamp()) * 1_000_000 + 1


def numbers(database: Database, *, limit: int = 99, before: int | None = None, **filters: Any) -> list[int]:
    with database.read() as session:
        return [one.seq for one in page(session, filters=AuditFilter(**filters), limit=limit, before=before)]


def test_a_page_begins_with_the_newest(written: Database) -> None:
    assert numbers(written, limit=3) == [5, 4, 3]


@only_sqlite
def test_the_next_page_begins_before_the_cursor(written: Database) -> None:
    assert numbers(written, limit=3, before=3) == [2, 1]


@only_sqlite
def test_a_page_can_be_read_from_a_connection(written: Database) -> None:
    with written.engine.connect() as connection:
        assert len(page(connection, filters=AuditFilter(), limit=2)) == 2


def test_an_entry_is_shown_with_an_aware_moment_its_scopes_and_its_hash(database: Database) -> None:
    write(database, at=NOON, detail="why")
    with database.read() as session:
        (found,) = page(session, filters=AuditFilter(), limit=1)
    assert found == EntryView(
        seq=1,
        at=START + timedelta(hours=12, microseconds=1),
        request_id="r-1",
        workspace_id=1,
        user_id=5,
        username="ada",
        credential="pat",
        token_id=7,
        token_prefix="pm_pat_abcdefgh",
        scopes=["packages:read", "packages:publish"],
        ip="192.0.2.1",
        agent="pip/26",
        method="GET",
        route="/api/v1/packages/{package_id}",
        action="get_package",
        resource="packages/12",
        decision="allowed",
        reason=None,
        required_scope="packages:read",
        status=200,
        detail="why",
        hash=stored(database)[0].hash.hex(),
    )


@only_sqlite
def test_an_entry_without_scopes_is_shown_with_none(database: Database) -> None:
    write(database, scopes=None)
    with database.read() as session:
        assert page(session, filters=AuditFilter(), limit=1)[0].scopes == []


@only_sqlite
@pytest.mark.parametrize(
    "filters",
    [{"workspace_id": 2}, {"token_id": 8}, {"action": "yank"}, {"resource": "packages/13"}, {"decision": "denied"}, {"user": "eve"}],
    ids=str,
)
def test_a_filter_finds_what_it_names(written: Database, filters: dict[str, Any]) -> None:
    write(written, **{"username" if name == "user" else name: value for name, value in filters.items()})
    assert numbers(written, **filters) == [6]


@only_sqlite
def test_filters_add_up(written: Database) -> None:
    write(written, action="yank")
    write(written, action="yank", token_id=8)
    assert numbers(written, action="yank", token_id=7) == [6]


def test_the_name_of_an_account_finds_its_entries_under_any_name(database: Database) -> None:
    with database.begin() as session:
        account = User(username="grace")
        session.add(account)
        session.flush()
        number = account.id
    write(database, user_id=number, username="formerly")
    write(database, user_id=number + 1, username="grace")
    assert numbers(database, user="grace") == [1]


def test_times_include_their_beginning_and_not_their_end(database: Database) -> None:
    database.transact(lambda session: append(session, KEY, [entry(at=NOON + second * 1_000_000) for second in range(4)]))
    noon = START + timedelta(hours=12, microseconds=1)
    assert numbers(database, since=noon + timedelta(seconds=1), until=noon + timedelta(seconds=3)) == [3, 2]


@only_sqlite
def test_a_moment_may_be_given_in_any_zone(database: Database) -> None:
    write(database, at=NOON)
    local = (START + timedelta(hours=12)).astimezone()
    assert numbers(database, since=local, until=local + timedelta(seconds=1)) == [1]


@only_sqlite
@pytest.mark.parametrize("chunk", [1, 2, 5, 100])
def test_an_export_yields_everything_oldest_first(written: Database, chunk: int) -> None:
    assert [one.seq for one in export(written, AuditFilter(), chunk)] == [1, 2, 3, 4, 5]


@only_sqlite
def test_an_export_of_nothing_is_empty(database: Database) -> None:
    assert list(export(database, AuditFilter())) == []


@only_sqlite
def test_an_export_obeys_its_filter(written: Database) -> None:
    write(written, 3, workspace_id=2)
    assert [one.seq for one in export(written, AuditFilter(workspace_id=2), 2)] == [6, 7, 8]


def test_an_export_ends_although_entries_keep_coming(written: Database) -> None:
    seen = []
    for one in export(written, AuditFilter(), 1):
        write(written)
        seen.append(one.seq)
    assert seen == [1, 2, 3, 4, 5]


def test_an_export_holds_no_transaction_between_chunks(written: Database) -> None:
    running: Iterator[EntryView] = export(written, AuditFilter(), 2)
    next(running)
    assert written.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


@only_sqlite
def test_no_entry_in_a_time_is_an_empty_page(written: Database) -> None:
    assert numbers(written, until=START) == []


@only_sqlite
def test_entries_whose_clock_was_wrong_are_found_by_their_time(database: Database) -> None:
    days = (1, 5, 2, 3, 0, 4)
    database.transact(lambda session: append(session, KEY, [entry(at=NOON + day * 86_400_000_000) for day in days]))
    assert numbers(database, since=START + timedelta(days=2), until=START + timedelta(days=5)) == [6, 4, 3]


@only_sqlite
@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({"workspace_id": 1}, "ix_audit_workspace_id_seq"),
        ({"workspace_id": 1, "action": "yank"}, "ix_audit_workspace_id_seq"),
        ({"token_id": 1}, "ix_audit_token_id_seq"),
        ({"user": "grace"}, "ix_audit_user_id_seq"),
        ({"since": START}, "COVERING INDEX ix_audit_at"),
        ({"since": START, "until": datetime.max.replace(tzinfo=UTC)}, "COVERING INDEX ix_audit_at"),
    ],
    ids=str,
)
def test_each_filter_has_its_index_and_nothing_is_scanned_or_sorted(written: Database, filters: dict[str, Any], index: str) -> None:
    with written.begin() as session:
        session.add(User(username="grace"))
    said: list[Any] = []
    event.listen(written.engine, "before_cursor_execute", lambda *given: said.append(given[2:4]))
    numbers(written, before=9, **filters)
    asked = [(sql, values) for sql, values in said if sql.startswith("SELECT")]
    with written.engine.connect() as connection:
        plans = str([connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).fetchall() for sql, values in asked])
    assert index in plans
    assert "SCAN" not in plans
    assert "TEMP B-TREE" not in plans
