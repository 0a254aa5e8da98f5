"""How example-admin works on accounts and tokens, whatever the command."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

import pytest
from sqlalchemy import text

from example.cli import operating
from example.config import Settings
from example.db import Database
from example.errors import Conflict
from example.identity.keys import check_keys, derive_keys
from example.identity.roles import EVERYTHING


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """The settings as the command reads them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", str(settings.database_url))
    monkeypatch.setenv("DATA_DIR", str(settings.data_dir))
    return settings


def test_the_operator_is_an_administrator_without_an_account() -> None:
    actor = operating.as_actor()
    assert actor.is_admin and actor.user_id == 0 and actor.scopes == EVERYTHING and actor.username == getpass.getuser()


def test_an_operator_without_a_name_is_known_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert operating.operator_name() == f"uid {os.getuid()}"


def test_what_is_refused_is_one_line(environment: Settings) -> None:
    with pytest.raises(SystemExit, match="^example-admin users list: no, it is taken$"), operating.operating("users list"):
        raise Conflict("no, it is taken")


def test_a_change_under_another_key_is_refused(environment: Settings) -> None:
    database = Database(environment)
    database.transact(lambda session: check_keys(session, derive_keys("another key")))
    database.close()
    with pytest.raises(SystemExit, match="SECRET_KEY is not the one"), operating.operating("users disable") as operator:
        operator.change("disable_user", lambda session: operating.Done(None, "users/alice"))


def test_where_there_is_no_database_none_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "elsewhere"))
    with pytest.raises(SystemExit, match="there is no database at .*elsewhere/app.db; .*example-init"), operating.operating("users list"):
        pytest.fail("there is nothing to work on")
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_another_release_is_left_alone(environment: Settings) -> None:
    database = Database(environment)
    with database.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    database.close()
    refused = pytest.raises(SystemExit, match="schema is at revision 0001.*bring it up to date with example-init")
    with refused, operating.operating("users list"):
        pytest.fail("it goes on")
