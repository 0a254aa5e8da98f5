"""Fixtures of the whole suite: both databases, settings with a hermetic Nix store, and the service with a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from example.config import Settings
from example.nix.pins import DEMO
from tests import databases
from tests.databases import PostgresServer
from tests.nixstore import SETS, make_settings
from tests.service import ROOT, Service, in_process


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server of this session."""
    yield from databases.postgres_servers(tmp_path_factory.mktemp("postgres"))


@pytest.fixture(params=databases.KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A fresh, migrated database of each kind: what uses this runs on both."""
    shared = tmp_path_factory.getbasetemp()
    if request.param == "sqlite":
        return databases.sqlite_url(shared / "template.db", tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create(shared)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a service that nobody else uses; jobs run elsewhere, that is nowhere."""
    pins = f"test={SETS},demo={DEMO.path}"
    return make_settings(tmp_path / "data", database_url=database_url, jobs_in_web=False, nix_pins=pins)


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    """The service in this process without jobs, with a client that has every scope."""
    yield from in_process(settings)


@pytest.fixture
def working(settings: Settings) -> Iterator[Service]:
    """The service in this process, jobs included."""
    yield from in_process(settings.model_copy(update={"jobs_in_web": True}))


COVERED_ON_SQLITE = ("authorisation", "cli", "docs", "faults", "lifecycle", "sources")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage takes a third of the suite's time. Where nothing depends on the database, the runs on PostgreSQL do without."""
    for item in items:
        if "postgresql" in item.name and item.path.parts[len(ROOT.parts) + 1] in COVERED_ON_SQLITE:
            item.add_marker(pytest.mark.no_cover)
