"""Retention: cuts old entries off the front of the chain, and seals where it cut."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from itertools import takewhile

from sqlalchemy.orm import Session

from example.audit.chain import AuditBroken, follow
from example.audit.reading import microseconds
from example.audit.stored import entries_after, find_head, marked, move_head
from example.db import Database

AT = 1  # the place of that column in COLUMNS


def prune(database: Database, keys: Sequence[bytes], before: datetime, at_most: int = 10_000) -> int:
    """Delete the entries older than ``before`` from the front, up to the first that isn't; how many those were.

    Each transaction deletes ``at_most``. ``keys``: of the seal, the present one first.

    Raises:
        example.audit.chain.AuditBroken: what should be deleted, or the head, is not as it was written. It stays, as evidence.
    """
    deleted = 0
    while True:
        cut = database.transact(lambda session: _cut(session, keys, microseconds(before), at_most))
        deleted += cut
        if cut < at_most:
            return deleted


def _cut(session: Session, keys: Sequence[bytes], before: int, at_most: int) -> int:
    connection = session.connection()
    head = find_head(connection, lock=True)
    if head is None:
        return 0
    head.require_seal(keys)
    rows = entries_after(connection, head.pruned_seq, up_to=head.seq, limit=at_most)
    with closing(rows):
        old = takewhile(lambda row: not isinstance(row[AT], int) or row[AT] < before, rows)  # other types: follow() says so
        seq, hash_there = follow(old, head.pruned_seq, head.pruned_hash)
    if seq == head.pruned_seq:
        return 0
    if seq == head.seq and hash_there != head.hash:
        raise AuditBroken(seq, "is not the one that the head was sealed with: somebody wrote the end of the chain anew")
    connection.exec_driver_sql(marked(connection, "DELETE FROM audit WHERE seq > ? AND seq <= ?"), (head.pruned_seq, seq))
    move_head(connection, replace(head, pruned_seq=seq, pruned_hash=hash_there).sealed(keys[0]))
    return seq - head.pruned_seq
