"""Whether the audit is as it was written, from what was pruned to the head; and the seal under a new key."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from example.audit.chain import AuditBroken, Head, fits, follow
from example.audit.stored import entries_after, find_head, marked, move_head, require_no_entries
from example.db import Database

CHUNK = 2000  # more is slower: what is read is soon garbage

log = structlog.get_logger("example.audit")


@dataclass(frozen=True, slots=True)
class Verified:
    """An audit without a fault: how many ``entries``, the numbers of the ``first`` and the ``last`` (with none: ``last`` = ``first`` - 1).

    Keep ``last`` and ``head_hash`` elsewhere, and a later ``verify`` that expects them finds even an older copy of the whole database.
    """

    entries: int
    first: int
    last: int
    head_hash: bytes


def verify(
    database: Database,
    keys: Sequence[bytes],
    *,
    expect: tuple[int, bytes] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Verified:
    """Read the whole audit in one snapshot and check each entry, the chain and the head.

    ``keys``: of the seal, the present one first. ``expect``: number and hash of an entry as an earlier run told them. ``progress`` is told
    after each chunk how many entries are checked, and of how many.

    Raises:
        AuditBroken: the audit is not as it was written; it names the first entry that shows it.
    """
    with _snapshot(database) as connection:
        head = find_head(connection)
        if head is None:
            require_no_entries(connection)
            head = Head()
        else:
            head.require_seal(keys)
        _check_front(connection, head)
        _check_chain(connection, head, progress)
        _check_end(connection, head)
        if expect is not None:
            _check_expected(connection, head, *expect)
    return Verified(head.seq - head.pruned_seq, head.pruned_seq + 1, head.seq, head.hash)


@contextmanager
def _snapshot(database: Database) -> Iterator[Connection]:
    isolation: dict[str, Any] = (
        {"sqlite_begin": "DEFERRED"} if database.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    )
    with database.engine.connect() as connection:
        yield connection.execution_options(**isolation)


def _check_front(connection: Connection, head: Head) -> None:
    first = connection.exec_driver_sql("SELECT min(seq) FROM audit").scalar_one()
    if first is not None and first <= head.pruned_seq:
        raise AuditBroken(first, f"is there although all up to {head.pruned_seq} were pruned: somebody added it")


def _check_chain(connection: Connection, head: Head, progress: Callable[[int, int], object] | None) -> None:
    seq, previous = head.pruned_seq, head.pruned_hash
    while seq < head.seq:
        before = seq
        try:
            with closing(entries_after(connection, seq, up_to=head.seq, limit=CHUNK)) as rows:
                seq, previous = follow(rows, seq, previous)
        except AuditBroken as broken:
            raise _displaced(connection, head, broken.seq) or broken from None
        if seq == before:
            raise AuditBroken(seq + 1, f"is missing: the end was cut off, for the head says that there are entries up to {head.seq}")
        if progress is not None:
            progress(seq - head.pruned_seq, head.seq - head.pruned_seq)
    if previous != head.hash:
        raise AuditBroken(head.seq, "is not the one that the head was sealed with: somebody wrote the end of the chain anew")


def _displaced(connection: Connection, head: Head, seq: int) -> AuditBroken | None:
    """Where the entry that should be at ``seq`` stands now, if it is anywhere behind."""
    previous = head.pruned_hash if seq == head.pruned_seq + 1 else _hash_of(connection, seq - 1)
    place, last = seq, seq - 1
    while place != last:
        last = place
        with closing(entries_after(connection, place, up_to=2**63 - 1, limit=CHUNK)) as rows:
            for row in rows:
                place = row[0]
                if fits(previous, (seq, *row[1:])):
                    return AuditBroken(seq, f"is out of order: it stands at {place}")
    return None


def _check_end(connection: Connection, head: Head) -> None:
    last = connection.exec_driver_sql("SELECT max(seq) FROM audit").scalar_one()
    if last is not None and last > head.seq:
        raise AuditBroken(last, f"is more than the head knows, which ends at {head.seq}: somebody added it, or took an older head back")


def _check_expected(connection: Connection, head: Head, seq: int, expected: bytes) -> None:
    if seq < head.pruned_seq:
        raise AuditBroken(seq, f"can't be compared: all up to {head.pruned_seq} were pruned; expect a newer one")
    if seq > head.seq:
        raise AuditBroken(seq, f"is expected, and the chain ends at {head.seq}: somebody brought an older audit back")
    found = head.pruned_hash if seq == head.pruned_seq else _hash_of(connection, seq)
    if not hmac.compare_digest(found, expected):
        raise AuditBroken(seq, f"has not the expected hash but {found.hex()}: this is another chain")


def _hash_of(connection: Connection, seq: int) -> bytes:
    found: bytes = connection.exec_driver_sql(marked(connection, "SELECT hash FROM audit WHERE seq = ?"), (seq,)).scalar_one()
    return found


def reseal(session: Session, keys: Sequence[bytes]) -> None:
    """Seal the head under the present key, ``keys[0]``, when an earlier one of ``keys`` did. A wrong seal stays, and is said in the log."""
    connection = session.connection()
    head = find_head(connection)
    if head is None or head.is_sealed(keys[:1]):
        return
    head = find_head(connection, lock=True)
    assert head is not None
    if head.is_sealed(keys):
        move_head(connection, head.sealed(keys[0]))
    else:
        log.error("audit_seal_wrong", seq=head.seq)
