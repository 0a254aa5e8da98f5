"""Entries to write in tests, and hands that change what was written."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, text

from example.audit.chain import Head
from example.audit.entries import Entry, append
from example.audit.stored import find_head
from example.db import Database
from example.models import AuditEntry

KEY = b"k" * 32
OLD_KEY = b"o" * 32

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def entry(**values: Any) -> Entry:
    """An entry like those of requests, but for ``values``."""
    usual: dict[str, Any] = {
        "request_id": "r-1",
        "workspace_id": 1,
        "user_id": 5,
        "username": "ada",
        "credential": "pat",
        "token_id": 7,
        "token_prefix": "pm_pat_abcdefgh",
        "scopes": "packages:read packages:publish",
        "ip": "192.0.2.1",
        "agent": "pip/26",
        "method": "GET",
        "route": "/api/v1/packages/{package_id}",
        "action": "get_package",
        "resource": "packages/12",
        "decision": "allowed",
        "required_scope": "packages:read",
        "status": 200,
    }
    return Entry(**(usual | values))


def write(database: Database, count: int = 1, *, key: bytes = KEY, **values: Any) -> None:
    """Append ``count`` entries in one transaction."""
    database.transact(lambda session: append(session, key, [entry(**values) for _ in range(count)]))


def stored(database: Database) -> list[AuditEntry]:
    """Every entry there is, oldest first."""
    with database.read() as session:
        return list(session.scalars(select(AuditEntry).order_by(AuditEntry.seq)))


def head_of(database: Database) -> Head | None:
    """The head as it is stored."""
    with database.read() as session:
        return find_head(session.connection())


def tamper(database: Database, *statements: str, **values: Any) -> None:
    """What somebody does who can write to the database and has no key."""
    with database.begin() as session:
        for statement in statements:
            session.execute(text(statement), values)
