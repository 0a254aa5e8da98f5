"""Leases tell the living from the dead, on both databases."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from example.jobs import leases as leases_module
from example.jobs.leases import FileLeases, Leases, PostgresLeases, leases_of
from example.jobs.queue import dbos_url
from tests.databases import PostgresServer
from tests.nixstore import eventually
from tests.service import ROOT

HOLDS = """
import sys, time
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError
from example.jobs.leases import leases_of
assert leases_of(make_url(sys.argv[1])).take("dead")
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def url(database_url: str) -> str:
    """The database's address on the driver that the service uses."""
    return database_url.replace("postgresql://", "postgresql+psycopg://")


def new(url: str) -> Leases:
    """The leases as another process sees them."""
    return leases_of(make_url(url))


def test_a_lease_excludes_others_until_it_is_released(url: str) -> None:
    mine, others = new(url), new(url)
    assert not mine.held()
    assert others.is_free("me")
    assert mine.take("me") and mine.held()
    assert not others.is_free("me") and not others.take("me") and not others.held()
    mine.release("me")
    assert not mine.held() and others.is_free("me")
    assert others.take("me")
    others.release("me")


def test_looking_does_not_take(url: str) -> None:
    mine, others = new(url), new(url)
    assert others.is_free("me") and others.is_free("me")
    assert mine.take("me")
    mine.release("me")


def test_the_lease_of_a_killed_process_is_free(url: str) -> None:
    others = new(url)
    with subprocess.Popen([sys.executable, "-c", HOLDS, url], stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        assert not others.is_free("dead")
        process.kill()
        process.wait()
    assert eventually(lambda: others.is_free("dead"))


def test_releasing_what_was_not_taken_is_no_error(url: str) -> None:
    new(url).release("me")


def test_files_of_the_long_dead_are_swept_and_no_others(tmp_path: Path) -> None:
    folder = tmp_path / "leases"
    alive, young, gone = FileLeases(folder), FileLeases(folder), FileLeases(folder)
    assert alive.take("alive")
    for name in ("dead", "young"):
        (folder / name).touch()
    long_ago = time.time() - 2 * leases_module.SWEPT_AFTER_SECONDS
    for name in ("alive", "dead"):
        os.utime(folder / name, (long_ago, long_ago))
    gone.sweep()
    assert sorted(path.name for path in folder.iterdir()) == ["alive", "young"]
    assert not young.is_free("alive")
    alive.release("alive")


def test_a_file_that_vanishes_during_a_sweep_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dead").touch()
    os.utime(tmp_path / "dead", (1, 1))

    def gone(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(leases_module, "try_lock", gone)
    FileLeases(tmp_path).sweep()


@pytest.fixture
def server(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PostgreSQL database's address."""
    return postgres.create(tmp_path_factory.getbasetemp())


def end_sessions(server: str) -> None:
    """As an administrator, a restart or a cut cable would."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )


def test_a_lost_session_is_noticed_and_not_silently_replaced(server: str) -> None:
    leases = PostgresLeases(make_url(server).set(drivername="postgresql+psycopg"))
    assert leases.take("me")
    end_sessions(server)
    assert [leases.held() for _ in range(3)] == [False, False, False]
    assert leases.take("me") and leases.held()
    leases.release("me")
    leases.sweep()


def test_a_server_that_is_away_is_an_error_and_the_lease_can_be_taken_later(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    leases = PostgresLeases(make_url(server).set(drivername="postgresql+psycopg"))
    assert leases.take("me")
    end_sessions(server)
    assert not leases.held()
    with monkeypatch.context() as patch:
        patch.setattr(leases, "_try", lambda *_: (_ for _ in ()).throw(SQLAlchemyError("away")))
        with pytest.raises(SQLAlchemyError):
            leases.take("me")
        assert not leases.held()
    assert leases.take("me") and leases.held()
    leases.release("me")


def test_the_address_for_dbos_keeps_the_password() -> None:
    class Database:
        url = make_url("postgresql+psycopg://u:secret@h/d")

    assert dbos_url(Database()) == "postgresql+psycopg://u:secret@h/d"  # type: ignore[arg-type]
