"""An entry, and how entries are appended to the chain."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Literal

from sqlalchemy import String
from sqlalchemy.orm import Session

from example.audit.chain import COLUMNS, link
from example.audit.stored import insert_entries, lock_head, move_head
from example.log import may_hold_secret, redact
from example.models import AuditEntry

Credential = Literal["pat", "session", "password", "none", "cli"]
Decision = Literal["allowed", "denied"]

FREE_TEXTS = frozenset({"request_id", "username", "agent", "resource", "detail"})  # of callers' making: a token may have slipped in
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # PostgreSQL takes no NUL, UTF-8 no half of a surrogate pair
_values = attrgetter(*COLUMNS[1:])
_types = [AuditEntry.__table__.columns[name].type for name in COLUMNS[1:]]
_NUMBERS = [place for place, kind in enumerate(_types) if not isinstance(kind, String)]
_TEXTS = [
    (place, kind.length or sys.maxsize, COLUMNS[1:][place] in FREE_TEXTS) for place, kind in enumerate(_types) if isinstance(kind, String)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One use of a credential, or one change. ``at`` is in microseconds since 1970; ``scopes`` has spaces between them."""

    at: int = field(default_factory=lambda: time.time_ns() // 1000)
    request_id: str | None = None
    workspace_id: int | None = None
    user_id: int | None = None
    username: str | None = None
    credential: Credential
    token_id: int | None = None
    token_prefix: str | None = None
    scopes: str | None = None
    ip: str | None = None
    agent: str | None = None
    method: str | None = None
    route: str | None = None
    action: str
    resource: str | None = None
    decision: Decision
    reason: str | None = None
    required_scope: str | None = None
    status: int | None = None
    detail: str | None = None


def append(session: Session, key: bytes, entries: Sequence[Entry]) -> None:
    """Write ``entries`` at the chain's end, in their order, and seal the new head under ``key``.

    The last thing in a transaction: on PostgreSQL the head is locked from here to the commit, and whatever else the transaction did in
    that time, all other processes' entries would wait for.

    Raises:
        example.audit.chain.AuditBroken: the head was not sealed with ``key``; going on from it would vouch for what somebody changed.
    """
    if not entries:
        return
    session.flush()
    head = lock_head(session, key)
    head.require_seal([key])
    seq, previous, rows = head.seq, head.hash, []
    for entry in entries:
        seq += 1
        values = (seq, *storable(entry))
        previous = link(previous, values)
        rows.append((*values, previous))
    connection = session.connection()
    insert_entries(connection, rows)
    move_head(connection, replace(head, seq=seq, hash=previous).sealed(key))


def storable(entry: Entry) -> list[Any]:
    """The values of ``entry`` as both databases take and keep them: without secrets, short enough, nothing but numbers and Unicode.

    Raises:
        ValueError: a number is none.
    """
    values = list(_values(entry))
    for place in _NUMBERS:
        if type(values[place]) is not int and values[place] is not None:
            values[place] = int(values[place])  # SQLite would make a number of True or "5", which hashes differently
    for place, longest, free in _TEXTS:
        if values[place] is None:
            continue
        text = values[place] if type(values[place]) is str else str(values[place])
        if free and may_hold_secret(text):
            text = redact(text)  # before the cut, which could hide how a secret ends
        if not text.isprintable():
            text = _UNSTORABLE.sub("\ufffd", text)
        values[place] = text[:longest]
    return values
