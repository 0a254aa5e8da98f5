"""A database in which nothing is yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from example.config import Settings
from tests import databases
from tests.databases import PostgresServer


@pytest.fixture(params=databases.KINDS)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a database in which nothing is yet."""
    url = f"sqlite:///{tmp_path / 'new/app.db'}"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.create(tmp_path, empty=True)
    return Settings(_env_file=None, data_dir=tmp_path / "data", database_url=url, secret_key="k" * 40)
