"""Whatever somebody without the key changes, verification finds: any column of any row, any deletion, swap, copy or cut."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from example.audit.chain import COLUMNS, AuditBroken
from example.audit.verify import verify
from example.config import Settings
from example.db import Database
from tests.audit.written import KEY, write
from tests.databases import sqlite_url

ENTRIES = 6
NUMBERS = st.integers(1, ENTRIES)
VALUES = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(st.characters(codec="utf-8")), st.binary())
HEAD = ("seq", "hash", "pruned_seq", "pruned_hash", "mac")

many = settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, sqlite3.Connection]]:
    """Some entries, and the hand that will change them."""
    folder: Path = tmp_path_factory.mktemp("tampering")
    url = sqlite_url(tmp_path_factory.getbasetemp() / "template.db", folder)
    database = Database(Settings(_env_file=None, database_url=url, data_dir=folder))
    write(database, ENTRIES, detail="{}", reason="none")
    with closing(sqlite3.connect(folder / "app.db", isolation_level=None)) as hand:
        hand.execute("PRAGMA synchronous = OFF")
        yield database, hand
    database.close()


@contextmanager
def found(audit: tuple[Database, sqlite3.Connection]) -> Iterator[sqlite3.Connection]:
    """What is changed in this block is found; afterwards it was never done. A change that the database refuses, or that changes nothing, is
    none.
    """
    database, hand = audit
    before = _everything(hand)
    try:
        try:
            yield hand
        except sqlite3.IntegrityError:
            assume(False)
        assume(_everything(hand) != before)
        with pytest.raises(AuditBroken):
            verify(database, [KEY])
    finally:
        for table, rows in before.items():
            hand.execute(f"DELETE FROM {table}")
            hand.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    assert verify(database, [KEY]).entries == ENTRIES


def _everything(hand: sqlite3.Connection) -> dict[str, list[Any]]:
    return {table: hand.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in ("audit", "audit_head")}


@many
@given(seq=NUMBERS, column=st.sampled_from([*COLUMNS, "hash"]), value=VALUES)
def test_any_change_of_any_column_is_found(audit: Any, seq: int, column: str, value: Any) -> None:
    with found(audit) as hand:
        hand.execute(f"UPDATE audit SET {column} = ? WHERE seq = ?", (value, seq))


@many
@given(seq=NUMBERS, column=st.sampled_from(COLUMNS), data=st.data())
def test_any_flipped_character_is_found(audit: Any, seq: int, column: str, data: st.DataObject) -> None:
    with found(audit) as hand:
        (value,) = hand.execute(f"SELECT {column} FROM audit WHERE seq = ?", (seq,)).fetchone()
        place = data.draw(st.integers(0, len(str(value)) - 1))
        new = data.draw(st.characters(codec="utf-8"))
        hand.execute(f"UPDATE audit SET {column} = ? WHERE seq = ?", (str(value)[:place] + new + str(value)[place + 1 :], seq))


@many
@given(seqs=st.sets(NUMBERS, min_size=1))
def test_any_deletion_is_found(audit: Any, seqs: set[int]) -> None:
    with found(audit) as hand:
        hand.executemany("DELETE FROM audit WHERE seq = ?", [(seq,) for seq in seqs])


@many
@given(order=st.permutations(range(1, ENTRIES + 1)))
def test_any_other_order_is_found(audit: Any, order: list[int]) -> None:
    with found(audit) as hand:
        hand.execute("UPDATE audit SET seq = -seq")
        hand.executemany("UPDATE audit SET seq = ? WHERE seq = ?", [(new, -old) for old, new in enumerate(order, 1)])


@many
@given(source=NUMBERS, target=st.integers(-(2**63), 2**63 - 1))
def test_any_copy_is_found(audit: Any, source: int, target: int) -> None:
    with found(audit) as hand:
        rest = ", ".join((*COLUMNS[1:], "hash"))
        hand.execute(f"INSERT INTO audit (seq, {rest}) SELECT ?, {rest} FROM audit WHERE seq = ?", (target, source))


@many
@given(last=st.integers(0, ENTRIES - 1), column=st.sampled_from(["hash", "pruned_hash"]))
def test_any_cut_is_found_although_the_head_says_the_same(audit: Any, last: int, column: str) -> None:
    with found(audit) as hand:
        (there,) = hand.execute("SELECT hash FROM audit WHERE seq = ?", (last,)).fetchone() or (bytes(32),)
        number = {"hash": "seq", "pruned_hash": "pruned_seq"}[column]
        hand.execute(f"DELETE FROM audit WHERE seq {'>' if column == 'hash' else '<='} ?", (last,))
        hand.execute(f"UPDATE audit_head SET {number} = ?, {column} = ?", (last, there))


@many
@given(column=st.sampled_from(HEAD), value=VALUES)
def test_any_change_of_the_head_is_found(audit: Any, column: str, value: Any) -> None:
    with found(audit) as hand:
        hand.execute(f"UPDATE audit_head SET {column} = ?", (value,))
