"""Servers and workers as processes of their own: several of them, stopped in the middle, killed in the middle."""

from __future__ import annotations

import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from example.config import Settings
from example.nix.runtime import NixRuntime
from tests.faults.hunting import slow_set, workers_on
from tests.lifecycle.ready import check_truth
from tests.nixstore import eventually, processes
from tests.service import API, Service, expect, serving, start

pytestmark = pytest.mark.slow
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the database and takes long."""


@pytest.fixture
def served(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with jobs in the web process, and packages that take two seconds."""
    return settings.model_copy(update={"jobs_in_web": True, "nix_pins": f"slow={slow_set(tmp_path, 30)},{settings.nix_pins}"})


def builds_of(service: Service, task_id: str) -> int:
    """How many builds a job's log tells of."""
    log = service.get(f"/jobs/{task_id}/log").text
    return sum(line.startswith("building /") for line in log.splitlines())


def begun(service: Service, name: str, words: str) -> tuple[int, str]:
    """A download whose log says ``words``: (package, task)."""
    package_id = service.create(name, "1.0")
    task_id = expect(service.post(f"/package/{package_id}/download"), 202)["task_id"]
    assert eventually(lambda: words in service.get(f"/jobs/{task_id}/log").text, 20)
    return package_id, task_id


def test_four_processes_serve_every_request_and_do_every_job_once(served: Settings, tmp_path: Path) -> None:
    with serving(served, tmp_path / "server", workers=4) as (_, service), ThreadPoolExecutor(50) as threads:
        names = [f"slow-{number}" for number in range(8)]
        ids = list(threads.map(lambda name: service.create(name, "1.0"), names))

        def ask(package_id: int) -> str:
            with httpx.Client(base_url=service.http.base_url, headers=service.http.headers, timeout=60) as own:
                return str(expect(own.post(f"{API}/package/{package_id}/download"), 202)["task_id"])

        same = set(threads.map(ask, [ids[0]] * 50))
        assert len(same) == 1
        tasks = [*same, *threads.map(ask, ids[1:])]
        for package_id in ids:
            assert service.until(package_id, 60)["status"] == "downloaded"
        assert len(set(tasks)) == len(ids)
        for task_id in tasks:
            assert expect(service.get(f"/jobs/{task_id}"), 200)["attempts"] == 1
            assert builds_of(service, task_id) == 1
        made = list(threads.map(lambda package_id: service.post(f"/package/{package_id}/activate"), ids))
        assert {answer.status_code for answer in made} == {200}
        assert sorted(answer.json()["generation"] for answer in made) == list(range(1, 9))
        check_truth(service)


def test_a_server_that_is_asked_to_stop_ends_its_builds_at_once_and_goes_on_with_them_later(served: Settings, tmp_path: Path) -> None:
    with serving(served, tmp_path / "server") as (server, service):
        package_id, task_id = begun(service, "slow-0", "step 3")
        assert server.process is not None
        asked = time.monotonic()
        server.process.terminate()
        server.process.wait(15)
        assert time.monotonic() - asked < 10
        assert eventually(lambda: workers_on(NixRuntime.of(served).store_dir) == [], 2), "a build outlived its server"
        again = server.start()
        assert again.until(package_id)["status"] == "downloaded"
        assert expect(again.get(f"/jobs/{task_id}"), 200)["attempts"] == 2
        assert "--- attempt 2" in again.get(f"/jobs/{task_id}/log").text


@ON_SQLITE
def test_a_killed_server_takes_its_builds_along_and_goes_on_with_them_later(served: Settings, tmp_path: Path) -> None:
    with serving(served, tmp_path / "server") as (server, service):
        package_id, task_id = begun(service, "slow-0", "step 3")
        server.kill()
        assert eventually(lambda: workers_on(NixRuntime.of(served).store_dir) == [], 3), "a build outlived its server"
        again = server.start()
        assert again.until(package_id)["status"] == "downloaded"
        assert expect(again.get(f"/jobs/{task_id}"), 200)["attempts"] == 2


@ON_SQLITE
def test_a_server_killed_during_a_health_check_leaves_no_check_and_the_next_one_tells_the_truth(served: Settings, tmp_path: Path) -> None:
    served = served.model_copy(update={"nix_pins": f"demo={NixRuntime.of(served).data_dir}/waits.nix"})
    served.data_dir.mkdir(parents=True, exist_ok=True)
    (served.data_dir / "waits.nix").write_text(
        '{ waits = derivation { name = "waits-1.0"; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/bin:/usr/bin";\n'
        'args = [ "-c" "mkdir -p $out/bin; echo \'#!/bin/sh\' > $out/bin/waits; echo sleep 4321.5 >> $out/bin/waits;'
        ' chmod 755 $out/bin/waits" ]; } // { version = "1.0"; }; }'
    )
    with serving(served, tmp_path / "server") as (server, service):
        package_id = service.ready("waits", "1.0")
        with ThreadPoolExecutor(1) as threads:
            check = {"health_check": {"command": ["waits"], "timeout_seconds": 60}}
            asked = threads.submit(service.post, f"/package/{package_id}/activate", check)
            assert eventually(lambda: processes("4321.5") != [], 10)
            server.kill()
            with pytest.raises(httpx.HTTPError):
                asked.result()
        assert eventually(lambda: processes("4321.5") == [], 3), "the check outlived its server"
        again = server.start()
        assert again.package(package_id)["status"] == "activated", "it is live, checked or not"
        check_truth(again)


def test_workers_do_the_jobs_of_a_server_that_does_none(served: Settings, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "example.worker"]
    with serving(served.model_copy(update={"jobs_in_web": False}), tmp_path / "server") as (_, service):
        package_id = service.create("slow-0", "1.0")
        task_id = expect(service.post(f"/package/{package_id}/download"), 202)["task_id"]
        worker = start(argv, served, tmp_path / "worker")
        assert eventually(lambda: "step 3" in service.get(f"/jobs/{task_id}/log").text, 20)
        asked = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(15) == 0
        assert time.monotonic() - asked < 10
        assert "taking jobs" in (tmp_path / "worker/server.log").read_text()
        assert eventually(lambda: workers_on(NixRuntime.of(served).store_dir) == [], 2)
        assert service.package(package_id)["status"] == "downloading"
        successor = start(argv, served, tmp_path / "worker")
        assert service.until(package_id)["status"] == "downloaded"
        successor.terminate()
        assert successor.wait(15) == 0
        assert list((Path(f"{served.sqlalchemy_url.database}.leases")).glob("*")) == []


@ON_SQLITE
def test_a_server_without_workers_keeps_what_is_asked_for(served: Settings, tmp_path: Path) -> None:
    alone = served.model_copy(update={"jobs_in_web": False})
    with serving(alone, tmp_path / "server") as (server, service):
        package_id = service.create("slow-0", "1.0")
        expect(service.post(f"/package/{package_id}/download"), 202)
        server.kill()
        again = server.start()
        assert again.package(package_id)["status"] == "downloading"
        server.kill()
        server.settings = served
        again = server.start()
        assert again.until(package_id)["status"] == "downloaded"
