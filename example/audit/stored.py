"""The audit's rows as the driver gives them: the head, found, locked and moved; entries in their order.

Statements go to the driver as they are: this runs for every request, and for every entry there is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from example.audit.chain import COLUMNS, AuditBroken, Head
from example.db import insert_for
from example.models import AuditHead

ID = 1  # of the head's only row
_HEAD = f"SELECT seq, hash, pruned_seq, pruned_hash, mac FROM audit_head WHERE id = {ID}"  # noqa: S608 – a number of ours
_TYPES = (int, bytes, int, bytes, bytes)
_ALL = ", ".join((*COLUMNS, "hash"))


def find_head(connection: Connection, *, lock: bool = False) -> Head | None:
    """The head, if anything was ever written; with ``lock`` nobody else moves it until this transaction ends.

    Raises:
        AuditBroken: the row holds what no head does.
    """
    locking = " FOR UPDATE" if lock and connection.dialect.name != "sqlite" else ""  # SQLite: BEGIN IMMEDIATE holds the only writer's lock
    row = connection.exec_driver_sql(_HEAD + locking).fetchone()
    if row is None:
        return None
    if not all(isinstance(value, wanted) for value, wanted in zip(row, _TYPES, strict=True)):
        raise AuditBroken(0, "follows a head that holds other types than were written: somebody changed the table audit_head")
    return Head(*row)


def lock_head(session: Session, key: bytes) -> Head:
    """The head, locked until the transaction ends; the first time it is made, sealed under ``key``.

    Raises:
        AuditBroken: there are entries, and the head that they had is gone.
    """
    connection = session.connection()
    head = find_head(connection, lock=True)
    if head is not None:
        return head
    first = Head().sealed(key)
    values = {"id": ID, "seq": first.seq, "hash": first.hash, "pruned_seq": 0, "pruned_hash": first.pruned_hash, "mac": first.mac}
    session.execute(insert_for(session)(AuditHead).values(values).on_conflict_do_nothing())
    head = find_head(connection, lock=True)  # ours, or of another process that was first
    assert head is not None
    if head.seq == 0:
        require_no_entries(connection)
    return head


def require_no_entries(connection: Connection) -> None:
    """Raise AuditBroken when there is an entry although there is no head."""
    first = connection.exec_driver_sql("SELECT min(seq) FROM audit").scalar_one()
    if first is not None:
        raise AuditBroken(first, "has no head: somebody emptied the table audit_head. Restore it from a back-up")


def move_head(connection: Connection, head: Head) -> None:
    """Write ``head`` in place of the one that this transaction has locked."""
    values = (head.seq, head.hash, head.pruned_seq, head.pruned_hash, head.mac)
    sql = f"UPDATE audit_head SET seq = ?, hash = ?, pruned_seq = ?, pruned_hash = ?, mac = ? WHERE id = {ID}"  # noqa: S608
    connection.exec_driver_sql(marked(connection, sql), values)


def insert_entries(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert ``rows`` (COLUMNS, then the hash)."""
    sql = f"INSERT INTO audit ({_ALL}) VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"  # noqa: S608
    connection.exec_driver_sql(marked(connection, sql), list(rows))


def entries_after(connection: Connection, seq: int, *, up_to: int, limit: int) -> Generator[Sequence[Any], None, None]:
    """At most ``limit`` entries (COLUMNS, then the hash) with numbers above ``seq`` up to ``up_to``, in order.

    One that holds bytes which are no text (only SQLite lets them in) is the last, and comes without what it holds: no hash fits that.
    """
    sql = f"SELECT {_ALL} FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"  # noqa: S608
    cursor: Any = connection.exec_driver_sql(marked(connection, sql), (seq, up_to, limit)).cursor
    try:
        for row in cursor:
            seq = row[0]
            yield row
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise OperationalError(sql, None, error) from error
        unreadable = connection.exec_driver_sql("SELECT min(seq) FROM audit WHERE seq > ?", (seq,)).scalar_one()
        yield (unreadable, 0, b"")
    finally:
        cursor.close()


def marked(connection: Connection, sql: str) -> str:
    """``sql`` with the placeholders of the connection's driver."""
    return sql if connection.dialect.name == "sqlite" else sql.replace("?", "%s")
