"""Public operations: health, version, scopes."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from example import __version__
from example.config import Settings
from example.identity.scopes import LADDERS, Scope
from tests.service import Service, expect, in_process


def test_the_process_is_alive(shared: Service) -> None:
    assert expect(shared.http.get("/health", headers=shared.anonymous()), 200) == {"status": "ok"}


def test_the_version_is_the_releases_and_the_build_the_images(shared: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILD", "abc123")
    assert expect(shared.get("/version", headers=shared.anonymous()), 200) == {"version": __version__, "build": "abc123"}


def test_the_table_of_scopes_shows_every_scope_and_what_it_includes(shared: Service) -> None:
    table = {entry["scope"]: entry for entry in expect(shared.get("/scopes", headers=shared.anonymous()), 200)}
    assert set(table) == {scope.value for scope in Scope}
    assert table["packages:delete"]["includes"] == ["packages:read", "packages:publish"]
    assert all(table[rungs[0].value]["includes"] == [] for rungs in LADDERS.values())


def test_a_service_that_can_work_says_so_of_each_part(shared: Service) -> None:
    assert expect(shared.http.get("/health/ready"), 200) == {"status": "ok", "database": "ok", "storage": "ok", "jobs": "ok"}


def test_many_probes_at_once_do_not_trip_over_each_other(shared: Service) -> None:
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(shared.http.get("/health/ready").status_code)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 20


def test_storage_that_is_gone_is_told(service: Service, tmp_path: Path) -> None:
    (tmp_path / "data").rename(tmp_path / "away")
    answer = service.http.get("/health/ready")
    (tmp_path / "away").rename(tmp_path / "data")
    assert answer.status_code == 503
    assert answer.json() | {"jobs": ""} == {
        "status": "unavailable",
        "database": "ok",
        "storage": "can't be written: FileNotFoundError",
        "jobs": "",
    }


def test_jobs_that_do_not_run_are_told(working: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert expect(working.http.get("/health/ready"), 200)["jobs"] == "ok"
    assert working.services is not None and working.services.engine is not None
    monkeypatch.setattr(type(working.services.engine), "alive", lambda _engine: False)
    assert working.http.get("/health/ready").json()["jobs"] == "the keeper has stopped; restart the service"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_machine_without_nix_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for service in in_process(settings.model_copy(update={"jobs_in_web": True})):
        assert service.services is not None
        monkeypatch.setattr(type(service.services.host.runtime), "missing", lambda _runtime: "nix-build is missing")
        assert service.http.get("/health/ready").json()["jobs"] == "nix-build is missing"
