"""example-init: makes or migrates the database, and in production the first administrator's token."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from example.cli import init
from example.config import AppEnv, Settings
from example.db import Database
from example.models import AuditEntry, Token, User, Workspace
from tests.databases import PostgresServer
from tests.service import environment_of

KEY = "kJ8s-Qm2ZxV0rT5yWc7LbN4dFh1GpUaE9oXi"
Run = Callable[..., None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the console script with arguments; settings as environment variables."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)

    def call(*arguments: str, **env: str) -> None:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["example-init", *arguments])
        init.main()

    return call


def users(path: Path) -> list[str]:
    database = Database(Settings(_env_file=None, data_dir=path / "data"))
    with database.read() as session:
        found = list(session.scalars(select(User.username)))
    database.close()
    return found


def test_in_development_it_makes_the_database_and_nobody(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run()
    assert capsys.readouterr().out == f"The database is up to date: sqlite:///{tmp_path}/data/app.db\n"
    assert users(tmp_path) == []


def test_in_production_it_prints_the_first_administrators_token_once(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(APP_ENV="production", SECRET_KEY=KEY)
    first = capsys.readouterr().out
    assert "shown this once (user admin, all scopes, 90 days)" in first and first.split()[-1].startswith("pm_pat_")
    run()
    assert "pm_pat_" not in capsys.readouterr().out
    assert users(tmp_path) == ["admin"]


def test_the_first_administrator_can_have_an_address_and_is_told_how_to_get_a_password(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="example-init: --admin-email: 'nobody' is not an e-mail address"):
        run("--admin-email", "nobody", APP_ENV="production", SECRET_KEY=KEY)
    assert not (tmp_path / "data").exists()
    run("--admin-email", "Ops@example.com", APP_ENV="production", SECRET_KEY=KEY)
    assert "example-admin users set-password admin" in capsys.readouterr().err
    database = Database(Settings(_env_file=None, data_dir=tmp_path / "data"))
    with database.read() as session:
        assert session.scalars(select(User.email)).one() == "ops@example.com"
        entry = session.scalars(select(AuditEntry)).one()
        assert (entry.action, entry.credential, entry.resource) == ("create_user", "cli", "users/admin")
    database.close()


def test_a_reset_empties_the_database(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(APP_ENV="production", SECRET_KEY=KEY)
    run("--reset", APP_ENV="development")
    assert users(tmp_path) == []


def test_another_key_is_refused_in_one_line(run: Run) -> None:
    run(SECRET_KEY=KEY)
    with pytest.raises(SystemExit, match="example-init: SECRET_KEY is not the one that this database was made with"):
        run(SECRET_KEY=KEY[::-1])


def test_a_setting_that_cannot_be_is_named(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(APP_ENV="production", SECRET_KEY="short-hunter2", THREADS="many")
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert "settings: THREADS: " in said and "hunter2" not in said


def test_production_without_a_key_says_how_to_make_one(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(APP_ENV="production")
    assert "settings: SECRET_KEY must be set to at least 32 random characters" in capsys.readouterr().err


def test_a_database_that_is_not_there_is_told_without_its_password(run: Run) -> None:
    with pytest.raises(SystemExit) as ended:
        run(DATABASE_URL="postgresql://user:hunter2@127.0.0.1:1/db?connect_timeout=2")
    assert 'server at "127.0.0.1", port 1 failed' in str(ended.value) and "check DATABASE_URL" in str(ended.value)
    assert "can't be used" in str(ended.value) and "hunter2" not in str(ended.value)


def test_a_folder_that_cannot_be_made_is_told_in_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="example-init: .*file"):
        run(DATA_DIR=str(tmp_path / "file/data"))


def test_pins_that_cannot_be_read_are_told_in_one_line(run: Run) -> None:
    with pytest.raises(SystemExit, match="example-init: .*"):
        run(NIX_PINS="no equals sign")


def test_a_url_of_an_asynchronous_driver_is_taken(
    run: Run, postgres: PostgresServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres.create(tmp_path, empty=True)
    run(DATABASE_URL=url.replace("postgresql://", "postgresql+asyncpg://"))
    assert "The database is up to date: postgresql+psycopg://" in capsys.readouterr().out
    database = Database(Settings(_env_file=None, database_url=url))
    with database.read() as session:
        assert session.scalars(select(Workspace.name)).all() == ["default"]
        assert session.scalars(select(Token.id)).all() == []
    database.close()


def test_of_ten_that_run_at_once_one_prints_the_first_administrators_token(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.create(tmp_path)
    settings = Settings(_env_file=None, app_env=AppEnv.PRODUCTION, database_url=url, secret_key=SecretStr(KEY), data_dir=tmp_path)
    with ThreadPoolExecutor(10) as pool:
        printed = list(pool.map(lambda _: init.prepare(settings), range(10)))
    assert sum(token is not None for token in printed) == 1


HUNDREDTHS = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from example.cli.init import first_administrator
from example.config import Settings
from example.core import open_core

core = open_core(Settings(_env_file=None))
print("ready", flush=True)
sys.stdin.readline()
together = threading.Barrier(25)

def one(_: int) -> str | None:
    together.wait()
    return core.database.transact(lambda session: first_administrator(session, core))

with ThreadPoolExecutor(25) as threads:
    print(sum(token is not None for token in threads.map(one, range(25))))
"""


@pytest.mark.slow
def test_of_a_hundred_first_administrators_at_once_there_is_exactly_one(database_url: str, tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None, app_env=AppEnv.PRODUCTION, database_url=database_url, secret_key=SecretStr(KEY), data_dir=tmp_path / "data"
    )
    pipe, argv, env = subprocess.PIPE, [sys.executable, "-c", HUNDREDTHS], environment_of(settings)
    four = [subprocess.Popen(argv, cwd=tmp_path, env=env, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for process in four:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in four:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert sum(int(process.communicate()[0]) for process in four) == 1
    database = Database(settings)
    with database.read() as session:
        assert [session.scalar(select(func.count()).select_from(table)) for table in (User, Token, AuditEntry)] == [1, 1, 1]
    database.close()
