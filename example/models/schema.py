"""The schema's life: up to date at the start, refused when newer than the code, reset for tests and demos."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, insert, select, text

import example.migrations
from example.config import Settings
from example.db import Database
from example.errors import SchemaMismatch
from example.models.identity import Workspace

DEFAULT_WORKSPACE = "default"
MIGRATION_LOCK = 0x504D_0001  # PostgreSQL advisory lock key: "PM", migrations
DBOS_SCHEMA = "dbos"


def initialize(settings: Settings | None = None, *, drop_all: bool = False) -> None:
    """Bring the database that ``settings`` name (default: the environment's) up to date, creating what is missing.

    With ``drop_all`` every table is dropped first, background jobs included: all data is lost.

    Raises:
        example.errors.SchemaMismatch: the database was migrated by a newer release; nothing was changed.
    """
    settings = settings or Settings()
    if settings.sqlalchemy_url.get_backend_name() == "sqlite" and settings.sqlalchemy_url.database:
        _create_privately(Path(settings.sqlalchemy_url.database))
    database = Database(settings)
    try:
        with _only_one_migrates(database), database.engine.connect() as connection, connection.begin():
            if drop_all:
                _drop_everything(connection)
            _upgrade(connection)
            _ensure_default_workspace(connection)
    finally:
        database.close()


def require_current(database: Database) -> None:
    """For commands that don't migrate.

    Raises:
        example.errors.SchemaMismatch: the database is another release's.
    """
    with database.engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found != (head := ScriptDirectory.from_config(_migrations()).get_current_head()):
        raise SchemaMismatch(
            f"the database's schema is at revision {found or 'none'}, and this release works with {head}: bring it up to date with "
            "example-init, or use the release that it belongs to"
        )


def _create_privately(path: Path) -> None:
    """An empty file is a database to SQLite. It will hold password hashes: nobody else reads it, nor what SQLite puts beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)


def _migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(example.migrations.__file__).parent))
    return config


def _upgrade(connection: Connection) -> None:
    config = _migrations()
    script = ScriptDirectory.from_config(config)
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in {revision.revision for revision in script.walk_revisions()}:
        raise SchemaMismatch(
            f"the database's schema is at revision {found!r}, which this release doesn't know: it was migrated by a newer one. "
            f"Run that release, or restore a back-up from before the upgrade; this one knows {script.get_current_head()!r}."
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _ensure_default_workspace(connection: Connection) -> None:
    if connection.scalar(select(Workspace.id).where(Workspace.name == DEFAULT_WORKSPACE)) is None:
        connection.execute(insert(Workspace).values(name=DEFAULT_WORKSPACE))


def _drop_everything(connection: Connection) -> None:
    found = MetaData()
    found.reflect(connection)
    found.drop_all(connection)
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"DROP SCHEMA IF EXISTS {DBOS_SCHEMA} CASCADE"))


@contextmanager
def _only_one_migrates(database: Database) -> Iterator[None]:
    """Several processes start at once: one migrates, the others wait and find it done."""
    if not database.is_sqlite:
        with database.engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
        return
    with open(f"{database.url.database}.migrate.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
