"""Leases: a lock that the system itself releases when a process dies, so that others can tell a dead executor from a slow one.

flock on a file beside the SQLite database; a session's advisory lock on a connection of its own on PostgreSQL (behind a
transaction-mode pooler, that connection needs a direct address).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from example.db import Database


class Leases(Protocol):
    """The leases of one database's executors."""

    def take(self, executor_id: str) -> bool:
        """Hold this executor's lease until the process ends; ``False`` when somebody else holds it."""

    def held(self) -> bool:
        """Whether the lease taken is still ours."""

    def is_free(self, executor_id: str) -> bool:
        """Whether nobody holds this executor's lease."""

    def release(self, executor_id: str) -> None:
        """Give the lease back and forget the executor, who will not come again: ids are used once."""


def leases_of(database: Database) -> Leases:
    """The leases that fit the database."""
    return FileLeases(Path(f"{database.url.database}.leases")) if database.is_sqlite else PostgresLeases(database)


class FileLeases:
    """flock on ``<database>.leases/<executor>``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None

    def take(self, executor_id: str) -> bool:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = self._lock(executor_id)
        return self._file is not None

    def held(self) -> bool:
        return self._file is not None

    def is_free(self, executor_id: str) -> bool:
        if not (self._folder / executor_id).exists():
            return True
        probe = self._lock(executor_id)
        if probe is not None:
            os.close(probe)
        return probe is not None

    def release(self, executor_id: str) -> None:
        (self._folder / executor_id).unlink(missing_ok=True)
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _lock(self, executor_id: str) -> int | None:
        file = os.open(self._folder / executor_id, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        return file


class PostgresLeases:
    """``pg_advisory_lock`` of a number made from the executor's id."""

    def __init__(self, database: Database) -> None:
        keepalives = {"keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
        self._engine = create_engine(database.url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=keepalives)
        self._connection: Connection | None = None

    def take(self, executor_id: str) -> bool:
        connection = self._engine.connect()
        if not self._try(connection, executor_id):
            connection.close()
            return False
        self._connection = connection
        return True

    def held(self) -> bool:
        try:
            return self._connection is not None and self._connection.scalar(text("SELECT true")) is True
        except DBAPIError:
            return False

    def is_free(self, executor_id: str) -> bool:
        with self._engine.connect() as connection:  # closing the connection releases what the probe took
            return self._try(connection, executor_id)

    def release(self, executor_id: str) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _try(self, connection: Connection, executor_id: str) -> bool:
        key = int.from_bytes(hashlib.sha256(executor_id.encode()).digest()[:8], signed=True)
        return bool(connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}))
