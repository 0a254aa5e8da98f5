"""What every process opens first."""

from __future__ import annotations

import pytest

from example.config import Settings
from example.core import open_core
from example.db import Database
from example.errors import SchemaMismatch
from example.identity.keys import KEY_FILE
from example.models import Workspace


def test_the_core_opens_on_an_empty_folder(settings: Settings) -> None:
    opened = open_core(settings)
    with opened.database.read() as session:
        assert [workspace.name for workspace in session.query(Workspace)] == ["default"]
    assert set(opened.sources) == {"nix"}
    opened.close()


def test_dropping_all_loses_what_was_there(settings: Settings) -> None:
    opened = open_core(settings)
    opened.database.transact(lambda session: session.add(Workspace(name="other")))
    opened.close()
    opened = open_core(settings, drop_all=True)
    with opened.database.read() as session:
        assert [workspace.name for workspace in session.query(Workspace)] == ["default"]
    assert opened.queue.running() == {}
    opened.close()


def test_another_key_than_the_databases_is_refused_and_nothing_stays_open(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    open_core(settings).close()
    closed: list[bool] = []
    monkeypatch.setattr(Database, "close", lambda _: closed.append(True))
    (settings.data_dir / KEY_FILE).write_text("another key that is long enough to be one")
    with pytest.raises(SchemaMismatch):
        open_core(settings)
    assert closed
