"""``example-admin`` as its operator runs it, on a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from example.cli import admin
from example.config import Settings
from example.db import Database
from example.models import AuditEntry
from tests.service import environment_of


@dataclass
class Admin:
    """Runs the command, and looks at what it left."""

    settings: Settings
    database: Database

    def invoke(self, *arguments: str, typed: str | None = None) -> Result:
        """What came of a command, whatever that was."""
        return CliRunner().invoke(admin.app, list(arguments), input=typed, env=environment_of(self.settings))

    def run(self, *arguments: str, typed: str | None = None) -> Result:
        """A command that succeeds."""
        result = self.invoke(*arguments, typed=typed)
        assert result.exit_code == 0, f"{result.output} {result.exception!r}"
        return result

    def refused(self, *arguments: str, typed: str | None = None) -> str:
        """Why a command failed."""
        result = self.invoke(*arguments, typed=typed)
        assert result.exit_code != 0, result.output
        return f"{result.output} {result.exception}"

    def listed(self, *arguments: str) -> Any:
        """What a list says as JSON."""
        return orjson.loads(self.run(*arguments, "--json").stdout)

    def read(self, verb: Any) -> Any:
        """Look something up."""
        with self.database.read() as session:
            return verb(session)

    def audited(self) -> list[tuple[str, str | None, str | None]]:
        """Action, resource and detail of the operator's entries."""

        def look(session: Session) -> list[tuple[str, str | None, str | None]]:
            found = session.scalars(select(AuditEntry).where(AuditEntry.credential == "cli").order_by(AuditEntry.seq))
            return [(entry.action, entry.resource, entry.detail) for entry in found]

        result: list[tuple[str, str | None, str | None]] = self.read(look)
        return result


@pytest.fixture
def operator(settings: Settings) -> Iterator[Admin]:
    database = Database(settings)
    yield Admin(settings, database)
    database.close()
