"""The schema's life: migrations match the models, a newer schema is refused, a reset empties, and processes that start at once don't
collide.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import String, inspect, text

from example.config import Settings
from example.core import open_core
from example.db import Database
from example.errors import SchemaMismatch
from example.identity.keys import check_keys, load_keys
from example.models import Base, User, Workspace, initialize
from example.models.base import UtcDateTime
from example.models.rendering import render_item
from tests.service import environment_of


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = Database(settings)
    yield opened
    opened.close()


def tables(settings: Settings) -> set[str]:
    database = Database(settings)
    try:
        return set(inspect(database.engine).get_table_names())
    finally:
        database.close()


def is_ours(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    return kind != "table" or name in Base.metadata.tables


def test_the_migrations_make_what_the_models_say(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "include_object": is_ours}
        )
        assert compare_metadata(context, Base.metadata) == [], "run alembic's autogenerate and add a migration"


def test_an_empty_database_becomes_usable(empty: Settings) -> None:
    initialize(empty)
    assert set(Base.metadata.tables) <= tables(empty)


def test_the_file_of_a_new_database_is_its_owners_alone(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", secret_key="k" * 40)
    open_core(settings).close()
    files = [file for file in (tmp_path / "data").glob("app.db*") if file.suffix != ".lock"]
    assert files and {file.stat().st_mode & 0o077 for file in files} == {0}


def test_the_default_workspace_is_there_once_however_often_the_service_starts(empty: Settings) -> None:
    initialize(empty)
    initialize(empty)
    database = Database(empty)
    with database.read() as session:
        assert [row.name for row in session.query(Workspace)] == ["default"]
    database.close()


def test_a_schema_of_a_newer_release_is_refused_and_left_alone(settings: Settings, database: Database) -> None:
    with database.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match="'9999', which this release doesn't know: it was migrated by a newer one. Run that release"):
        initialize(settings)
    with database.read() as session:
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


def test_a_server_on_a_newer_schema_ends_and_says_why(settings: Settings, database: Database, tmp_path: Path) -> None:
    with database.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    argv = [sys.executable, "-m", "uvicorn", "example.server:app", "--port", "0"]
    ended = subprocess.run(argv, cwd=tmp_path, env=environment_of(settings), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "it was migrated by a newer one" in ended.stderr + ended.stdout


def test_a_reset_empties_every_table_and_jobs_too(settings: Settings) -> None:
    core = open_core(settings)
    core.database.transact(lambda session: session.add(User(username="gone")))
    core.close()
    initialize(settings, drop_all=True)
    database = Database(settings)
    with database.read() as session:
        assert session.query(User).count() == 0
    assert inspect(database.engine).get_table_names(schema=None if database.is_sqlite else "dbos") == [] or database.is_sqlite
    database.close()
    open_core(settings).close()


def test_a_reset_takes_a_newer_schema_away(settings: Settings, database: Database) -> None:
    with database.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    initialize(settings, drop_all=True)
    initialize(settings)


@pytest.mark.slow
def test_processes_that_start_at_once_migrate_once(empty: Settings, tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "from example.models import initialize; initialize()"]
    processes = [
        subprocess.Popen(argv, cwd=tmp_path, env=environment_of(empty), stderr=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)
    ]
    said = [process.communicate(timeout=60)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said


def test_another_secret_key_refuses_to_start(settings: Settings) -> None:
    open_core(settings.model_copy(update={"secret_key": None})).close()
    (settings.data_dir / "secret_key").write_text("another")
    with pytest.raises(SchemaMismatch, match="SECRET_KEY is not the one that this database was made with"):
        open_core(settings)


def test_the_key_of_development_is_kept_where_only_its_owner_reads_it(settings: Settings) -> None:
    first = load_keys(settings)
    assert load_keys(settings) == first
    assert (settings.data_dir / "secret_key").stat().st_mode & 0o777 == 0o600


def test_the_same_key_is_accepted_again(settings: Settings, database: Database) -> None:
    for _ in range(2):
        database.transact(lambda session: check_keys(session, load_keys(settings)))


def test_a_server_with_a_setting_that_cannot_be_says_which_and_no_secret(settings: Settings, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "uvicorn", "example.server:app", "--port", "0"]
    env = environment_of(settings) | {"APP_ENV": "production", "SECRET_KEY": "short-hunter2"}
    ended = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "settings: SECRET_KEY must be set to at least 32 random characters" in ended.stderr
    assert "hunter2" not in ended.stderr + ended.stdout and "Traceback" not in ended.stderr


def test_a_migration_writes_our_moments_as_plain_columns() -> None:
    assert render_item("type", UtcDateTime(), None) == "sa.DateTime(timezone=True)"
    assert render_item("type", String(3), None) is False
