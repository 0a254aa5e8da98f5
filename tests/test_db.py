"""The database: pragmas, transactions that commit or vanish, retries, and what a full one says."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, insert, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from example import db
from example.config import Settings
from example.db import Database, LoopReader, insert_for, is_disk_full
from example.models import User


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = Database(settings)
    yield opened
    opened.close()


only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def usernames(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(User.username)))


@only_sqlite
@pytest.mark.parametrize(("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 15_000)])
def test_every_connection_to_sqlite_has_the_pragmas(database: Database, pragma: str, value: object) -> None:
    with database.read() as one, database.read() as other:
        assert {one.scalar(text(f"PRAGMA {pragma}")), other.scalar(text(f"PRAGMA {pragma}"))} == {value}


@only_sqlite
def test_a_writing_transaction_holds_the_write_lock_from_its_begin(database: Database) -> None:
    other = sqlite3.connect(str(database.url.database), timeout=0)
    with database.begin() as session:
        session.connection()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.close()


@only_sqlite
def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    with database.begin() as writing:
        writing.add(User(username="new"))
        writing.flush()
        assert usernames(database) == []


def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    def work(session: Session) -> None:
        session.add(User(username="ghost"))
        session.flush()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.transact(work)
    assert usernames(database) == []


def test_a_transaction_that_ends_is_committed(database: Database) -> None:
    database.transact(lambda session: session.add(User(username="here")))
    assert usernames(database) == ["here"]


@only_sqlite
def test_a_snapshot_stays_the_same_while_others_commit(database: Database) -> None:
    with database.read() as session:
        assert session.scalars(select(User.username)).all() == []
        database.transact(lambda other: other.add(User(username="later")))
        assert session.scalars(select(User.username)).all() == []
    assert usernames(database) == ["later"]


class SerializationFailure(Exception):
    sqlstate = "40001"


def failing(times: int, sqlstate: str = "40001") -> tuple[Any, list[int]]:
    calls: list[int] = []

    def work(session: Session) -> str:
        calls.append(1)
        session.add(User(username=f"try{len(calls)}"))
        session.flush()
        if len(calls) <= times:
            origin = SerializationFailure()
            origin.sqlstate = sqlstate
            raise DBAPIError("UPDATE", None, origin)
        return "done"

    return work, calls


def test_a_serialisation_failure_is_tried_again_and_only_the_last_try_counts(database: Database) -> None:
    work, _ = failing(2)
    assert database.transact(work) == "done"
    assert usernames(database) == ["try3"]


def test_after_five_serialisation_failures_the_error_is_told(database: Database) -> None:
    work, calls = failing(9)
    with pytest.raises(DBAPIError):
        database.transact(work)
    assert len(calls) == db.ATTEMPTS


def test_any_other_error_is_not_tried_again(database: Database) -> None:
    work, calls = failing(9, sqlstate="23505")
    with pytest.raises(DBAPIError):
        database.transact(work)
    assert len(calls) == 1


@only_postgresql
def test_a_deadlock_ends_with_both_transactions_done(database: Database) -> None:
    database.transact(lambda session: session.add_all([User(username="a"), User(username="b")]))
    meeting = threading.Barrier(2, timeout=10)
    first_try = {"ab": True, "ba": True}

    def lock_both(order: str) -> None:
        def work(session: Session) -> None:
            session.execute(text("UPDATE users SET is_admin = true WHERE username = :name"), {"name": order[0]})
            if first_try[order]:
                first_try[order] = False
                meeting.wait()
            session.execute(text("UPDATE users SET is_admin = true WHERE username = :name"), {"name": order[1]})

        database.transact(work)

    threads = [threading.Thread(target=lock_both, args=(order,)) for order in first_try]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM users WHERE is_admin")) == 2


def test_ping_gets_an_answer(database: Database) -> None:
    database.ping()


@only_sqlite
def test_the_loop_reader_sees_each_commit_of_others_and_its_number_changes(database: Database) -> None:
    reader = LoopReader(database)
    before = reader.data_version()
    assert reader.data_version() == before
    database.transact(lambda session: session.add(User(username="new")))
    assert reader.data_version() != before
    assert reader.connection.scalar(select(User.username)) == "new"
    reader.close()


@only_sqlite
def test_a_loop_reader_of_a_broken_database_says_so_as_a_database_error(database: Database) -> None:
    reader = LoopReader(database)
    reader._driver.close()
    with pytest.raises(DBAPIError):
        reader.data_version()


def fill(engine: Any) -> None:
    """Make every connection of a SQLite engine find the database full."""

    def cap(connection: sqlite3.Connection, *_: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(engine, "checkout", cap)


@only_sqlite
def test_a_full_sqlite_database_is_recognised(database: Database) -> None:
    fill(database.engine)
    with pytest.raises(OperationalError) as caught:
        database.transact(lambda session: session.execute(insert(User), [{"username": f"{n:064}"} for n in range(1000)]))
    assert is_disk_full(caught.value)


@only_sqlite
def test_a_full_sqlite_database_is_recognised_inside_a_savepoint(database: Database) -> None:
    fill(database.engine)

    def work(session: Session) -> None:
        with session.begin_nested():
            session.execute(insert(User), [{"username": f"{n:064}"} for n in range(1000)])

    with pytest.raises(DBAPIError) as caught:
        database.transact(work)
    assert is_disk_full(caught.value)


def test_a_full_postgresql_is_recognised_by_its_sqlstate() -> None:
    assert is_disk_full(DBAPIError("INSERT", None, psycopg.errors.DiskFull()))
    assert not is_disk_full(DBAPIError("INSERT", None, psycopg.errors.UniqueViolation()))


def test_an_error_never_shows_the_values_of_its_statement(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught, database.begin() as session:
        session.execute(text("SELECT canary FROM nowhere WHERE x = :x"), {"x": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_insert_can_pass_over_what_is_there(database: Database) -> None:
    def work(session: Session) -> None:
        for _ in range(2):
            session.execute(insert_for(session)(User).values(username="once").on_conflict_do_nothing())

    database.transact(work)
    assert usernames(database) == ["once"]


def test_an_unreachable_postgresql_is_given_up_after_ten_seconds() -> None:
    opened = Database(Settings(_env_file=None, database_url="postgresql://db.example/app"))
    waiting = Database(Settings(_env_file=None, database_url="postgresql://db.example/app?connect_timeout=3"))
    assert opened.engine.dialect.create_connect_args(opened.url)[1].get("connect_timeout") is None
    seen: list[object] = []

    def refuse(*given: Any) -> None:
        seen.append(given[3].get("connect_timeout"))
        raise psycopg.OperationalError("not in a test")

    for one in (opened, waiting):
        event.listen(one.engine, "do_connect", refuse)
        with pytest.raises(DBAPIError):
            one.ping()
    assert seen == [10, "3"]
