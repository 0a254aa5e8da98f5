"""kill -9 of servers, workers and builds at random moments: nothing is lost, nothing is stuck, nothing survives, the store is sound."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from example.config import Settings
from example.nix import profile as nix_profile
from example.nix.runtime import NixRuntime
from example.nix.store import verify
from tests.faults.hunting import kill, slow_set, workers_on
from tests.nixstore import eventually
from tests.service import Server, Service, expect, start

KILLS = {"sqlite": 50, "postgresql": 10}
WORKERS = 2
FINAL = ("downloaded", "activated", "failed")


class Mayhem:
    """A server and two workers, jobs in all of them, and who kills them."""

    def __init__(self, settings: Settings, folder: Path, kills: int, chance: random.Random) -> None:
        self.settings, self.folder, self.chance = settings, folder, chance
        self.server = Server(settings, folder / "server")
        self.store = NixRuntime.of(settings).store_dir
        self.workers: list[subprocess.Popen[bytes]] = []
        self.threads = ThreadPoolExecutor(2)
        self.starting: Future[Service] = self.threads.submit(self.server.start)
        self.wanted: dict[int, str] = {}
        self.next_package = iter(range(kills * 2))
        self.killed: Counter[str] = Counter()

    @contextmanager
    def running(self) -> Iterator[Mayhem]:
        """Everything up; at the end everything down."""
        try:
            self.workers = [self.new_worker() for _ in range(WORKERS)]
            yield self
        finally:
            with suppress(Exception):
                self.starting.result()
            self.server.stop()
            for worker in self.workers:
                worker.terminate()
            for worker in self.workers:
                worker.wait(20)
            self.threads.shutdown()

    def new_worker(self) -> subprocess.Popen[bytes]:
        return start([sys.executable, "-m", "example.worker"], self.settings, self.folder / "worker")

    def service(self) -> Service | None:
        """The server, when it is up."""
        return self.starting.result() if self.starting.done() else None

    def want_more(self) -> None:
        """Ask for another package; what the service has accepted is remembered."""
        service = self.service()
        if service is None:
            return
        name = f"slow-{next(self.next_package)}"
        with suppress(httpx.HTTPError):  # killed in the middle of the answer: not accepted
            package_id = service.create(name, "1.0")
            self.wanted[package_id] = name
            assert service.post(f"/package/{package_id}/download").status_code == 202

    def activate_something(self) -> None:
        service = self.service()
        if service is not None:
            with suppress(httpx.HTTPError):
                ready = service.get("/packages", params={"status": "downloaded", "limit": 100}).json()
                if ready:
                    service.post(f"/package/{self.chance.choice(ready)['id']}/activate")

    def strike(self) -> None:
        """kill -9 something; a server less often, since the others wait for it."""
        target = self.chance.choices(("build", "worker", "server"), (6, 3, 1))[0]
        if target == "server" and self.service() is not None:
            self.server.kill()
            self.starting = self.threads.submit(self.server.start)
        elif target == "worker":
            at = self.chance.randrange(WORKERS)
            self.workers[at].kill()
            self.workers[at].wait()
            self.workers[at] = self.new_worker()
        elif builds := workers_on(self.store):
            target = "build"
            kill(self.chance.choice(builds))
        else:
            return
        self.killed[target] += 1

    def settle(self, service: Service, seconds: float = 60) -> dict[int, dict[str, Any]]:
        """Wait until no package is on its way."""
        deadline = time.monotonic() + seconds
        while True:
            found = {package["id"]: package for package in expect(service.get("/packages", params={"limit": 1000}), 200)}
            if all(package["status"] in (*FINAL, "created") for package in found.values()):
                return found
            assert time.monotonic() < deadline, [package for package in found.values() if package["status"] == "downloading"]
            time.sleep(0.2)


@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing_and_leave_nothing_behind(settings: Settings, tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    kills = KILLS[settings.sqlalchemy_url.get_backend_name()]
    settings = settings.model_copy(update={"jobs_in_web": True, "nix_pins": f"slow={slow_set(tmp_path, 2 * kills)}"})
    with Mayhem(settings, tmp_path, kills, random.Random(seed)).running() as mayhem:
        mayhem.starting.result()
        while mayhem.killed.total() < kills:
            mayhem.want_more()
            if mayhem.chance.random() < 0.3:
                mayhem.activate_something()
            time.sleep(mayhem.chance.uniform(0.05, 0.7))
            mayhem.strike()
        print(mayhem.killed)
        service = mayhem.starting.result()

        found = mayhem.settle(service)
        assert {package_id: found[package_id]["name"] for package_id in mayhem.wanted} == mayhem.wanted
        failed = [package["error"] for package in found.values() if package["status"] == "failed"]
        assert all(failed), "a package that failed says why"

        for package_id, package in found.items():  # what failed or was never asked for is no worse for it
            if package["status"] in ("failed", "created"):
                service.post(f"/package/{package_id}/download")
        final = mayhem.settle(service)
        assert {package["status"] for package in final.values()} <= {"downloaded", "activated"}, final
        assert expect(service.get("/jobs", params={"state": "running"}), 200) == []
        assert expect(service.get("/jobs", params={"state": "queued"}), 200) == []
        assert eventually(lambda: workers_on(mayhem.store) == [], 10), "a process outlived the job that started it"
        assert verify(NixRuntime.of(settings), contents=True) == []
        assert all(os.path.exists(package["artifact"]) for package in final.values())
        check_the_environment(service)


def check_the_environment(service: Service) -> None:
    """What the service says is live is live, whole, and agrees with the packages' statuses."""
    active = expect(service.get("/packages", params={"status": "activated", "limit": 1000}), 200)
    one = next(iter(active), None)
    if one is not None:  # a change at last, which first records what is true
        expect(service.post(f"/package/{one['id']}/activate"), 200)
    environment = expect(service.get("/environments/nix/default"), 200)
    if environment["path"] is None:
        return
    live = nix_profile.live(Path(environment["path"]))
    assert environment["generation"] == (live.generation if live else None)
    active = expect(service.get("/packages", params={"status": "activated", "limit": 1000}), 200)
    assert {package["id"] for package in active} == {package["id"] for package in environment["packages"]}
    for package in environment["packages"]:
        assert (Path(environment["path"]) / "bin" / f"{package['name']}-{package['version']}").exists()
