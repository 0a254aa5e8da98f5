"""Entries: appended in order under the head's lock, in forms that both databases keep, without secrets."""

from __future__ import annotations

import threading
import time
from enum import StrEnum
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from example.audit.chain import GENESIS, AuditBroken
from example.audit.entries import append, storable
from example.audit.verify import verify
from example.db import Database
from example.models import User
from tests.audit.written import KEY, OLD_KEY, entry, head_of, only_postgresql, only_sqlite, stored, tamper, write

TOKEN = "pm_pat_" + "a1B2c3D4e5" * 4


def test_entries_are_numbered_from_one_without_a_gap(database: Database) -> None:
    write(database, 3)
    write(database, 2)
    assert [one.seq for one in stored(database)] == [1, 2, 3, 4, 5]


@only_sqlite
def test_the_head_names_the_last_entry(database: Database) -> None:
    write(database, 3)
    head, last = head_of(database), stored(database)[-1]
    assert head is not None
    assert (head.seq, head.hash, head.pruned_seq, head.pruned_hash) == (3, last.hash, 0, GENESIS)


def test_an_entry_is_stored_as_it_was_given(database: Database) -> None:
    given = entry(at=1_700_000_000_123_456, detail='{"name": "süß 🧬"}', reason="expired")
    database.transact(lambda session: append(session, KEY, [given]))
    (row,) = stored(database)
    assert {name: getattr(row, name) for name in given.__slots__} == {name: getattr(given, name) for name in given.__slots__}


def test_an_entry_happened_now_unless_it_says_otherwise() -> None:
    assert abs(entry().at - time.time() * 1e6) < 60e6


@only_sqlite
def test_no_entries_leave_no_head(database: Database) -> None:
    database.transact(lambda session: append(session, KEY, []))
    assert head_of(database) is None


@only_sqlite
def test_a_transaction_that_fails_leaves_no_entry(database: Database) -> None:
    def work(session: Any) -> None:
        append(session, KEY, [entry()])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.transact(work)
    assert stored(database) == []
    assert head_of(database) is None


def test_an_entry_and_the_change_that_it_is_about_are_committed_together(database: Database) -> None:
    def work(session: Any) -> None:
        session.add_all([User(username="twin"), User(username="twin")])
        append(session, KEY, [entry()])

    with pytest.raises(IntegrityError):
        database.transact(work)
    assert stored(database) == []


@only_postgresql
def test_the_head_is_locked_after_the_change_itself(database: Database) -> None:
    said: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: said.append(given[2]))

    def work(session: Any) -> None:
        session.add(User(username="new"))
        append(session, KEY, [entry()])

    database.transact(work)
    assert "INSERT INTO users" in said[0]


def test_eight_threads_keep_one_chain(database: Database) -> None:
    together = threading.Barrier(8)

    def many(number: int) -> None:
        together.wait()
        for _ in range(10):
            write(database, 3, user_id=number)

    threads = [threading.Thread(target=many, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(database, [KEY]).entries == 240


@pytest.mark.parametrize(("column", "length"), [("agent", 200), ("request_id", 64), ("ip", 45), ("decision", 8)])
def test_a_long_text_is_cut_to_what_its_column_holds(database: Database, column: str, length: int) -> None:
    database.transact(lambda session: append(session, KEY, [entry(**{column: "ä" * 1000})]))
    assert getattr(stored(database)[0], column) == "ä" * length
    verify(database, [KEY])


@only_sqlite
def test_a_detail_may_be_long(database: Database) -> None:
    write(database, detail="x" * 5000)
    assert stored(database)[0].detail == "x" * 5000


@pytest.mark.parametrize("bad", [f"a{chr(code)}b" for code in (0, 0xD800, 0xDFFF)], ids=ascii)
def test_what_is_no_text_to_a_database_is_replaced(database: Database, bad: str) -> None:
    write(database, agent=bad, action=bad)
    row = stored(database)[0]
    assert (row.agent, row.action) == ("a\ufffdb", "a\ufffdb")
    verify(database, [KEY])


def test_other_control_characters_and_all_languages_are_kept(database: Database) -> None:
    write(database, agent="a\n\x1b\x7f\u202e日本🧬")
    assert stored(database)[0].agent == "a\n\x1b\x7f\u202e日本🧬"
    verify(database, [KEY])


@pytest.mark.parametrize("column", ["request_id", "username", "agent", "resource", "detail"])
def test_a_token_in_a_free_text_is_never_stored(column: str) -> None:
    assert TOKEN[:16] not in str(storable(entry(**{column: f"is {TOKEN}"})))


def test_a_password_in_an_address_is_gone_even_when_its_end_is_cut_off() -> None:
    assert "hunter2" not in str(storable(entry(agent="https://ada:" + "hunter2" * 100 + "@example.org")))


def test_the_prefix_of_a_token_is_kept() -> None:
    assert "pm_pat_abcdefgh" in storable(entry())


class Scope(StrEnum):
    READ = "packages:read"


@pytest.mark.parametrize(
    ("given", "kept"),
    [({"status": True}, 1), ({"status": "404"}, 404), ({"required_scope": Scope.READ}, "packages:read"), ({"detail": 0}, "0")],
    ids=str,
)
def test_what_has_another_type_is_stored_so_that_its_hash_stays_right(database: Database, given: dict[str, Any], kept: object) -> None:
    write(database, **given)
    assert getattr(stored(database)[0], next(iter(given))) == kept
    verify(database, [KEY])


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="many"):
        storable(entry(status="many"))


def test_nothing_is_appended_to_a_head_that_somebody_changed(database: Database) -> None:
    write(database, 3)
    tamper(database, "DELETE FROM audit WHERE seq = 3", "UPDATE audit_head SET seq = 2, hash = (SELECT hash FROM audit WHERE seq = 2)")
    with pytest.raises(AuditBroken, match="seal is wrong"):
        write(database)
    assert len(stored(database)) == 2


@only_sqlite
def test_nothing_is_appended_under_a_key_that_is_not_the_heads(database: Database) -> None:
    write(database)
    with pytest.raises(AuditBroken) as caught:
        write(database, key=OLD_KEY)
    assert (caught.value.code, caught.value.extra) == ("audit_broken", {"seq": 1})


def test_no_second_chain_begins_when_the_head_is_gone(database: Database) -> None:
    write(database, 3)
    tamper(database, "DELETE FROM audit_head", "DELETE FROM audit WHERE seq = 1")
    with pytest.raises(AuditBroken, match="entry 2 has no head"):
        write(database)
    assert head_of(database) is None


@only_postgresql
def test_whoever_makes_the_first_entry_at_the_same_time_goes_on_after_it(database: Database) -> None:
    waiting = threading.Thread(target=write, args=(database, 1))
    with database.begin() as session:
        append(session, KEY, [entry()])
        waiting.start()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and waiting.is_alive() and not _somebody_waits(database):
            time.sleep(0.01)
        assert _somebody_waits(database)
    waiting.join()
    assert verify(database, [KEY]).entries == 2


def _somebody_waits(database: Database) -> bool:
    with database.engine.connect() as connection:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return bool(connection.exec_driver_sql(sql).scalar_one())
