"""A service that many tests share: those that make their own packages and tokens and don't mind others'. The rest takes ``service``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests import databases
from tests.databases import PostgresServer
from tests.nixstore import make_settings
from tests.service import Service, in_process


@pytest.fixture(scope="session", params=databases.KINDS)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service on each database, once a session, without jobs, with a client that has every scope."""
    base, folder = tmp_path_factory.getbasetemp(), tmp_path_factory.mktemp("shared")
    if request.param == "sqlite":
        url = databases.sqlite_url(base / "template.db", folder)
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.create(base)
    yield from in_process(make_settings(folder / "data", database_url=url, jobs_in_web=False))


@dataclass
class Fresh:
    """Names that no other test uses."""

    number: int = field(default=0)

    def name(self, beginning: str = "pkg") -> str:
        self.number += 1
        return f"{beginning}{self.number}"


_fresh = Fresh()


@pytest.fixture
def fresh() -> Fresh:
    return _fresh


def limited(service: Service, **wanted: Any) -> dict[str, str]:
    """Headers with a new token that has only what is ``wanted``."""
    return service.with_token(service.new_token(**wanted)["token"])
