"""The chain: how an entry's hash follows from the one before, how the head is sealed, and what a break is called.

Owns the form of what is hashed, which never changes: hashes that were written stay right. Knows no database.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from example.errors import PackageMasterError

GENESIS = bytes(32)  # stands where the first entry's predecessor would
COLUMNS = (
    *("seq", "at", "request_id", "workspace_id", "user_id", "username", "credential", "token_id", "token_prefix", "scopes", "ip"),
    *("agent", "method", "route", "action", "resource", "decision", "reason", "required_scope", "status", "detail"),
)  # what a hash covers, in this order

CHANGED = "was changed: its hash doesn't follow from its columns and the entry before"


class AuditBroken(PackageMasterError):
    """The audit is not as it was written: ``seq`` is the first entry that shows it, ``what`` says how."""

    code = "audit_broken"

    def __init__(self, seq: int, what: str) -> None:
        super().__init__(f"audit entry {seq} {what}", seq=seq)
        self.seq = seq
        self.what = what


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain ends, and what was cut off its front (``models.AuditHead``)."""

    seq: int = 0
    hash: bytes = GENESIS
    pruned_seq: int = 0
    pruned_hash: bytes = GENESIS
    mac: bytes = b""

    def sealed(self, key: bytes) -> Head:
        """The same under the seal of ``key``."""
        return replace(self, mac=seal(key, self.seq, self.hash, self.pruned_seq, self.pruned_hash))

    def is_sealed(self, keys: Sequence[bytes]) -> bool:
        """Whether the seal was made with one of ``keys``."""
        return any(hmac.compare_digest(seal(key, self.seq, self.hash, self.pruned_seq, self.pruned_hash), self.mac) for key in keys)

    def require_seal(self, keys: Sequence[bytes]) -> None:
        """Whoever goes on from a head checks it first: a seal on what somebody else wrote would vouch for it.

        Raises:
            AuditBroken: it was sealed with none of ``keys``.
        """
        if not self.is_sealed(keys):
            raise AuditBroken(
                self.seq,
                "is where the head says that the chain ends, and the head's seal is wrong: somebody changed the table audit_head, or "
                "SECRET_KEY is another one. Restore the old key as SECRET_KEY_PREVIOUS, or the table from a back-up",
            )


def link(previous: bytes, values: Sequence[int | str | None]) -> bytes:
    """The hash of an entry with these ``values`` (in the order of COLUMNS) after the entry whose hash is ``previous``.

    Raises:
        TypeError: a value is none that an entry can hold.
    """
    return hashlib.sha256(previous + orjson.dumps(values)).digest()


def seal(key: bytes, seq: int, hash: bytes, pruned_seq: int, pruned_hash: bytes) -> bytes:  # noqa: A002 – the column's name
    """What only somebody with ``key`` can say about a head: HMAC-SHA-256 (RFC 2104)."""
    return hmac.digest(key, orjson.dumps([seq, hash.hex(), pruned_seq, pruned_hash.hex()]), "sha256")


def follow(rows: Iterable[Sequence[Any]], seq: int, previous: bytes) -> tuple[int, bytes]:
    """Go along ``rows`` (COLUMNS, then the hash) from the entry ``seq`` with the hash ``previous``; the number and hash where that ends.

    Raises:
        AuditBroken: a row is missing, or is not what was written.
    """
    for row in rows:
        seq += 1
        if row[0] != seq:
            raise AuditBroken(seq, "is missing")
        if not fits(previous, row):
            raise AuditBroken(seq, CHANGED)
        previous = row[-1]
    return seq, previous


def fits(previous: bytes, row: Sequence[Any]) -> bool:
    """Whether ``row`` (COLUMNS, then the hash) is what was written after the entry with the hash ``previous``."""
    try:
        return bool(link(previous, row[:-1]) == row[-1])
    except TypeError:  # SQLite's columns hold anything
        return False
