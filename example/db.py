"""The database: one engine, transactions that commit or vanish, and the fast reader of SQLite.

Owns how connections are opened (pragmas, pools, retries). Tables are the models' business, queries the domains'.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from example.config import Settings

Result = TypeVar("Result")
SqliteBegin = Literal["IMMEDIATE", "DEFERRED", "NONE"]

BUSY_TIMEOUT_MS = 15_000
CONNECT_TIMEOUT_SECONDS = 10
ATTEMPTS = 5
_SQLITE_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
RETRIED_SQLSTATES = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
EXTRA_CONNECTIONS = 12  # jobs, keeper and slow handlers, beside the request threads


class Database:
    """The service's database. Safe to share between threads.

    ``point_reads_in_loop``: reads by key cost 0.1–0.2 ms on embedded SQLite and may run in the event loop;
    on PostgreSQL they never do (docs/design.md).
    """

    def __init__(self, settings: Settings) -> None:
        self.url = settings.sqlalchemy_url
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.point_reads_in_loop = self.is_sqlite
        self.engine = self._make_engine(settings.threads + EXTRA_CONNECTIONS)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._readers = sessionmaker(self.engine.execution_options(sqlite_begin="DEFERRED"), expire_on_commit=False)

    def _make_engine(self, pool_size: int) -> Engine:
        if not self.is_sqlite:
            patience = {} if "connect_timeout" in self.url.query else {"connect_timeout": CONNECT_TIMEOUT_SECONDS}
            return create_engine(
                self.url, pool_size=pool_size, max_overflow=0, pool_pre_ping=True, hide_parameters=True, connect_args=patience
            )
        engine = create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=0,
            hide_parameters=True,
            connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A writing transaction: committed at the end of the block, rolled back when it raises."""
        with self._sessions.begin() as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """To read from, without a write lock: one snapshot on SQLite, on PostgreSQL what is committed at each statement."""
        with self._readers() as session:
            yield session

    def transact(self, work: Callable[[Session], Result]) -> Result:
        """Run ``work`` in a writing transaction and commit. A serialisation failure or deadlock is tried again, at most 5 times."""
        attempt = 1
        while True:
            try:
                with self.begin() as session:
                    return work(session)
            except DBAPIError as error:
                if attempt == ATTEMPTS or getattr(error.orig, "sqlstate", None) not in RETRIED_SQLSTATES:
                    raise
            time.sleep(random.uniform(0, 0.02 * 2**attempt))
            attempt += 1

    def ping(self) -> None:
        """Ask the database for an answer.

        Raises:
            sqlalchemy.exc.DBAPIError: it gives none.
        """
        with self.read() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


class LoopReader:
    """One kept SQLite connection for point reads in the event loop.

    In autocommit, so each statement sees the newest commit; and ``data_version`` tells in microseconds whether anybody has committed since.
    Never used for writes, nor by two threads at once.
    """

    def __init__(self, database: Database) -> None:
        self.connection: Connection = database.engine.connect().execution_options(sqlite_begin="NONE")
        self._driver: Any = self.connection.connection.dbapi_connection

    def data_version(self) -> int:
        """A number that changes when another connection has committed (SQLite: PRAGMA data_version).

        Raises:
            sqlalchemy.exc.OperationalError: the database can't be read.
        """
        try:
            version: int = self._driver.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as error:
            raise OperationalError("PRAGMA data_version", None, error) from error
        return version

    def close(self) -> None:
        """Give the connection back."""
        self.connection.close()


def _prepare_sqlite(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver's own begins too late to be IMMEDIATE
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    mode: SqliteBegin = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
    if mode != "NONE":
        connection.exec_driver_sql(f"BEGIN {mode}")


def is_disk_full(error: BaseException) -> bool:
    """Whether the database refused a write for want of space (SQLITE_FULL; PostgreSQL 53100 disk_full), in the end or at first: SQLite then
    ends the transaction, and rolling back to a savepoint fails too.
    """
    cause: BaseException | None = error
    while cause is not None:
        for one in (cause, getattr(cause, "orig", None)):
            if getattr(one, "sqlite_errorcode", None) in _SQLITE_FULL or getattr(one, "sqlstate", None) == "53100":
                return True
        cause = cause.__cause__ or cause.__context__
    return False


def insert_for(session: Session) -> Callable[..., Any]:
    """The dialect's own ``insert``, with ``on_conflict_do_nothing`` and ``on_conflict_do_update``, which both databases have."""
    return sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
