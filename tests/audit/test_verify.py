"""Verification: what it says of a sound audit, and how it names each kind of break."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy.exc import OperationalError

from example.audit import verify as module
from example.audit.chain import GENESIS, AuditBroken, Head
from example.audit.pruning import prune
from example.audit.stored import entries_after
from example.audit.verify import Verified, reseal, verify
from example.db import Database
from example.models import now
from tests.audit.written import KEY, OLD_KEY, head_of, only_sqlite, stored, tamper, write

MOVE = "UPDATE audit SET seq = :to WHERE seq = :from"


def broken(database: Database, **arguments: Any) -> str:
    """How verification names the break."""
    with pytest.raises(AuditBroken) as caught:
        verify(database, [KEY], **arguments)
    return str(caught.value)


def test_an_audit_without_entries_is_sound(database: Database) -> None:
    assert verify(database, [KEY]) == Verified(0, 1, 0, GENESIS)


def test_a_sound_audit_is_told_with_its_numbers_and_its_last_hash(written: Database) -> None:
    assert verify(written, [KEY]) == Verified(5, 1, 5, stored(written)[-1].hash)


@only_sqlite
def test_progress_is_told_after_each_chunk(written: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    told: list[tuple[int, int]] = []
    verify(written, [KEY], progress=lambda *numbers: told.append(numbers))
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_entries_that_come_meanwhile_are_not_seen(written: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    assert verify(written, [KEY], progress=lambda *_: write(written)).last == 5
    assert verify(written, [KEY]).last == 8


def test_a_connection_is_given_back_as_it_was(written: Database) -> None:
    verify(written, [KEY])
    write(written)
    assert verify(written, [KEY]).entries == 6


@only_sqlite
@pytest.mark.parametrize("keys", [[KEY], [OLD_KEY, KEY], [b"x", OLD_KEY, KEY]], ids=len)
def test_the_seal_may_be_of_any_of_the_keys(written: Database, keys: list[bytes]) -> None:
    assert verify(written, keys).entries == 5


@only_sqlite
def test_a_seal_of_another_key_is_wrong(written: Database) -> None:
    with pytest.raises(AuditBroken, match="seal is wrong"):
        verify(written, [OLD_KEY])


def test_a_changed_column_is_found(written: Database) -> None:
    tamper(written, "UPDATE audit SET action = 'harmless' WHERE seq = 3")
    assert broken(written).startswith("audit entry 3 was changed")


@only_sqlite
def test_a_changed_hash_is_found(written: Database) -> None:
    tamper(written, "UPDATE audit SET hash = :hash WHERE seq = 3", hash=bytes(32))
    assert broken(written).startswith("audit entry 3 was changed")


@only_sqlite
def test_a_missing_entry_is_found(written: Database) -> None:
    tamper(written, "DELETE FROM audit WHERE seq = 3")
    assert broken(written) == "audit entry 3 is missing"


@only_sqlite
def test_a_missing_first_entry_is_found(written: Database) -> None:
    tamper(written, "DELETE FROM audit WHERE seq = 1")
    assert broken(written) == "audit entry 1 is missing"


def test_swapped_entries_are_found_where_they_stand(written: Database) -> None:
    for source, target in ((2, 99), (4, 2), (99, 4)):
        tamper(written, MOVE, **{"from": source, "to": target})
    assert broken(written) == "audit entry 2 is out of order: it stands at 4"


@only_sqlite
def test_an_entry_that_was_moved_to_the_end_is_found_where_it_stands(written: Database) -> None:
    tamper(written, MOVE, **{"from": 1, "to": 9})
    assert broken(written) == "audit entry 1 is out of order: it stands at 9"


def test_a_cut_off_end_is_found(written: Database) -> None:
    tamper(written, "DELETE FROM audit WHERE seq > 3")
    assert broken(written).startswith("audit entry 4 is missing: the end was cut off, for the head says that there are entries up to 5")


@only_sqlite
def test_an_emptied_table_is_found(written: Database) -> None:
    tamper(written, "DELETE FROM audit")
    assert broken(written).startswith("audit entry 1 is missing: the end was cut off")


@only_sqlite
def test_a_cut_off_end_is_found_although_the_head_was_changed_too(written: Database) -> None:
    tamper(written, "DELETE FROM audit WHERE seq > 3", "UPDATE audit_head SET seq = 3, hash = (SELECT hash FROM audit WHERE seq = 3)")
    assert "the head's seal is wrong" in broken(written)


@only_sqlite
def test_an_end_that_was_written_anew_is_found(written: Database) -> None:
    last = stored(written)[-1]
    write(written, action="harmless")
    forged = stored(written)[-1]
    assert last.hash != forged.hash
    head = head_of(written)
    assert head is not None
    values = {"seq": head.seq, "hash": last.hash, "pruned": GENESIS, "mac": Head(head.seq, last.hash).sealed(KEY).mac}
    tamper(written, "UPDATE audit_head SET seq = :seq, hash = :hash, pruned_hash = :pruned, mac = :mac", **values)
    assert "audit entry 6 is not the one that the head was sealed with" in broken(written)


@only_sqlite
def test_an_entry_behind_the_head_is_found(written: Database) -> None:
    tamper(written, MOVE, **{"from": 5, "to": 7})
    write_head_back(written)
    assert broken(written).startswith("audit entry 7 is more than the head knows")


def write_head_back(database: Database) -> None:
    """An older head, with its right seal."""
    head = Head(4, stored(database)[3].hash).sealed(KEY)
    tamper(database, "UPDATE audit_head SET seq = :seq, hash = :hash, mac = :mac", seq=head.seq, hash=head.hash, mac=head.mac)


@only_sqlite
def test_an_entry_before_what_was_pruned_is_found(written: Database) -> None:
    prune(written, [KEY], now() + timedelta(days=1))
    write(written, 2)
    tamper(written, MOVE, **{"from": 6, "to": 3})
    assert broken(written).startswith("audit entry 3 is there although all up to 5 were pruned")


@only_sqlite
def test_entries_without_a_head_are_found(written: Database) -> None:
    tamper(written, "DELETE FROM audit_head")
    assert broken(written).startswith("audit entry 1 has no head")


@only_sqlite
@pytest.mark.parametrize("column", ["hash", "pruned_hash", "mac"])
def test_a_head_of_other_types_is_found(written: Database, column: str) -> None:
    tamper(written, f"UPDATE audit_head SET {column} = hex({column})")
    assert "holds other types" in broken(written)


@only_sqlite
@pytest.mark.parametrize("value", ["x'ff'", "x'616263'", "1.5", "CAST(x'ff' AS TEXT)"])
def test_a_value_that_is_no_text_is_found(written: Database, value: str) -> None:
    tamper(written, f"UPDATE audit SET agent = {value} WHERE seq = 3")
    assert broken(written).startswith("audit entry 3 was changed")


@only_sqlite
def test_bytes_that_are_no_text_do_not_hide_where_another_entry_stands(written: Database) -> None:
    tamper(written, "UPDATE audit SET agent = CAST(x'ff' AS TEXT) WHERE seq = 5")
    for source, target in ((5, 2**62), (2, 2**63 - 1)):
        tamper(written, MOVE, **{"from": source, "to": target})
    assert broken(written) == f"audit entry 2 is out of order: it stands at {2**63 - 1}"


@only_sqlite
def test_an_entry_that_is_missing_before_bytes_that_are_no_text_is_found(written: Database) -> None:
    tamper(written, "UPDATE audit SET agent = CAST(x'ff' AS TEXT) WHERE seq = 4", "DELETE FROM audit WHERE seq = 3")
    assert broken(written) == "audit entry 3 is missing"


@only_sqlite
def test_a_database_that_fails_while_it_is_read_is_no_broken_audit(written: Database) -> None:
    with written.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        rows = entries_after(connection, 0, up_to=5, limit=5)
        next(rows)
        driver.set_progress_handler(lambda: 1, 1)
        with pytest.raises(OperationalError, match="interrupted"):
            list(rows)
        driver.set_progress_handler(None, 0)


def test_what_an_earlier_run_told_is_found_in_the_chain(written: Database) -> None:
    earlier = verify(written, [KEY])
    write(written, 3)
    assert verify(written, [KEY], expect=(earlier.last, earlier.head_hash)).entries == 8


@only_sqlite
def test_another_chain_than_expected_is_found(written: Database) -> None:
    assert "has not the expected hash" in broken(written, expect=(4, bytes(32)))


@only_sqlite
def test_an_older_copy_than_expected_is_found(written: Database) -> None:
    assert broken(written, expect=(6, bytes(32))).startswith("audit entry 6 is expected, and the chain ends at 5")


@only_sqlite
def test_an_emptied_database_is_found_by_what_is_expected(database: Database) -> None:
    assert broken(database, expect=(6, bytes(32))).startswith("audit entry 6 is expected, and the chain ends at 0")


@only_sqlite
def test_what_was_expected_may_be_the_last_that_was_pruned(written: Database) -> None:
    earlier = verify(written, [KEY])
    prune(written, [KEY], now() + timedelta(days=1))
    assert verify(written, [KEY], expect=(earlier.last, earlier.head_hash)).entries == 0


@only_sqlite
def test_an_expected_entry_that_was_pruned_cannot_be_compared(written: Database) -> None:
    prune(written, [KEY], now() + timedelta(days=1))
    assert "can't be compared" in broken(written, expect=(3, bytes(32)))


def sealing(*keys: bytes) -> Callable[[Any], None]:
    return lambda session: reseal(session, keys)


def test_a_head_is_sealed_again_under_the_present_key(database: Database) -> None:
    write(database, key=OLD_KEY)
    database.transact(sealing(KEY, OLD_KEY))
    assert verify(database, [KEY]).entries == 1
    write(database)


@only_sqlite
def test_a_head_under_the_present_key_stays_as_it_is(written: Database) -> None:
    before = head_of(written)
    written.transact(sealing(KEY, OLD_KEY))
    assert head_of(written) == before


@only_sqlite
def test_resealing_makes_no_head(database: Database) -> None:
    database.transact(sealing(KEY))
    assert head_of(database) is None


@only_sqlite
def test_a_wrong_seal_is_never_made_right(written: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("example.audit.verify.log", Mock(error=lambda event, **_: said.append(event)))
    tamper(written, "UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)")
    before = head_of(written)
    written.transact(sealing(KEY, OLD_KEY))
    assert head_of(written) == before
    assert said == ["audit_seal_wrong"]
