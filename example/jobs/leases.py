"""Leases: a lock that the system itself releases when a process dies, so that others can tell a dead executor from a slow one.

flock on a file beside the SQLite database; a session's advisory lock on a connection of its own on PostgreSQL (behind a
transaction-mode pooler, that connection needs a direct address).
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path
from typing import Protocol

from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from example.jobs.file_lock import remove_lock, try_lock

SWEPT_AFTER_SECONDS = 3600.0


class Leases(Protocol):
    """The leases of one database's executors. One object holds one lease; threads may share it."""

    def take(self, executor_id: str) -> bool:
        """Hold this executor's lease until the process ends; ``False`` when somebody else holds it."""

    def held(self) -> bool:
        """Whether the lease taken is still ours."""

    def is_free(self, executor_id: str) -> bool:
        """Whether nobody holds this executor's lease."""

    def release(self, executor_id: str) -> None:
        """Give the lease back and forget the executor, who will not come again: ids are used once."""

    def sweep(self) -> None:
        """Forget the executors that died without a word."""


def leases_of(url: URL) -> Leases:
    """The leases that fit the database."""
    return FileLeases(Path(f"{url.database}.leases")) if url.get_backend_name() == "sqlite" else PostgresLeases(url)


class FileLeases:
    """flock on ``<database>.leases/<executor>``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None

    def take(self, executor_id: str) -> bool:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = try_lock(self._folder / executor_id)
        return self._file is not None

    def held(self) -> bool:
        return self._file is not None

    def is_free(self, executor_id: str) -> bool:
        try:
            probe = try_lock(self._folder / executor_id, create=False)
        except FileNotFoundError:
            return True
        if probe is not None:
            os.close(probe)
        return probe is not None

    def release(self, executor_id: str) -> None:
        if self._file is not None:
            remove_lock(self._folder / executor_id, self._file)
            self._file = None

    def sweep(self) -> None:
        for path in self._folder.iterdir():
            try:
                if time.time() - path.stat().st_mtime < SWEPT_AFTER_SECONDS:
                    continue  # its owner may be about to lock it
                dead = try_lock(path, create=False)
            except FileNotFoundError:
                continue
            if dead is not None:
                remove_lock(path, dead)


class PostgresLeases:
    """``pg_try_advisory_lock`` of a number made from the executor's id."""

    def __init__(self, url: URL) -> None:
        keepalives = {"keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
        self._engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=keepalives)
        self._connection: Connection | None = None
        self._one_at_a_time = threading.Lock()

    def take(self, executor_id: str) -> bool:
        with self._one_at_a_time:
            self._drop()
            connection = self._engine.connect()
            try:
                taken = self._try(connection, executor_id)
            except SQLAlchemyError:
                connection.close()
                raise
            if taken:
                self._connection = connection
            else:
                connection.close()
            return taken

    def held(self) -> bool:
        with self._one_at_a_time:
            try:
                return self._connection is not None and self._connection.scalar(text("SELECT true")) is True
            except SQLAlchemyError:  # the session is gone and its lock with it: a reconnected one would not hold it
                self._drop()
                return False

    def is_free(self, executor_id: str) -> bool:
        with self._engine.connect() as connection:  # closing the connection releases what the probe took
            return self._try(connection, executor_id)

    def release(self, executor_id: str) -> None:
        with self._one_at_a_time:
            self._drop()

    def sweep(self) -> None:
        """The server forgets a lock when its session ends."""

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _try(self, connection: Connection, executor_id: str) -> bool:
        key = int.from_bytes(hashlib.sha256(executor_id.encode()).digest()[:8], signed=True)
        return bool(connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}))
