"""Upgrades keep what is there: a database of each earlier release, with rows that point to each other, comes up to date."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

import example.migrations
from example.config import Settings
from example.db import Database
from example.models import initialize

MOMENT = "'2026-11-21 12:00:00'"
RELEASE_0_1 = f"""
INSERT INTO workspaces (id, name, created_at) VALUES (1, 'default', {MOMENT});
INSERT INTO users (id, username, is_admin, created_at) VALUES (1, 'admin', true, {MOMENT});
INSERT INTO tokens (id, workspace_id, owner_id, name, kind, public_id, digest, scopes, resources, allowed_ips, created_at, expires_at)
  VALUES (1, 1, 1, 'first', 'pat', 'abcdefghijkl', 'digest', '["packages:read"]', '[]', '[]', {MOMENT}, {MOMENT});
INSERT INTO packages (id, workspace_id, source, name, version, status, created_by, created_at)
  VALUES (1, 1, 'nix', 'hello', '2.1.0', 'activated', 1, {MOMENT});
INSERT INTO package_counts (workspace_id, source, status, packages) VALUES (1, 'nix', 'activated', 1);
INSERT INTO jobs (id, task_id, workspace_id, package_id, kind, label, state, attempts, done, expected, created_by, created_at)
  VALUES (1, 'task', 1, 1, 'download', 'hello 2.1.0', 'succeeded', 1, 0, 0, 1, {MOMENT});
INSERT INTO environments (id, workspace_id, source, name, generation, created_at) VALUES (1, 1, 'nix', 'default', 1, {MOMENT});
INSERT INTO generations (id, environment_id, number, store_path, created_at) VALUES (1, 1, 1, '/nix/store/x', {MOMENT});
INSERT INTO generation_packages (generation_id, name, version, outputs, package_id) VALUES (1, 'hello', '2.1.0', '[]', 1)
"""
KEPT = ("workspaces", "users", "tokens", "packages", "package_counts", "jobs", "environments", "generations", "generation_packages")


@pytest.fixture
def release_0_1(empty: Settings) -> Iterator[Database]:
    """A database as release 0.1 left it."""
    Path(str(empty.sqlalchemy_url.database)).parent.mkdir(parents=True, exist_ok=True)
    database = Database(empty)
    with database.engine.connect() as connection, connection.begin():
        config = Config()
        config.set_main_option("script_location", str(Path(example.migrations.__file__).parent))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in RELEASE_0_1.split(";"):
            connection.execute(text(statement))
    yield database
    database.close()


def test_a_database_of_release_0_1_keeps_every_row(empty: Settings, release_0_1: Database) -> None:
    initialize(empty)
    with release_0_1.read() as session:
        assert {table: session.scalar(text(f"SELECT count(*) FROM {table}")) for table in KEPT} == dict.fromkeys(KEPT, 1)
        assert session.execute(text("SELECT name, description, longest_token_days FROM workspaces")).one() == ("default", "", 366)
        if release_0_1.is_sqlite:
            assert session.execute(text("PRAGMA foreign_key_check")).all() == []
