"""Downloaded packages without a job engine: fetched for real, at once, in the test's own thread. Cheaper than a worker."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from example.environments.host import Host
from example.lifecycle import downloads
from example.lifecycle.switching import Bench
from example.nix import profile as nix_profile
from example.sources import FetchRequest
from tests.lifecycle.scripted import core_of
from tests.nixstore import Remembering
from tests.service import Service, expect


def ready(service: Service, name: str = "tool", version: str = "3.0") -> int:
    """A new package, downloaded."""
    package_id = service.create(name, version)
    fetch_now(service, package_id)
    return package_id


def fetch_now(service: Service, package_id: int) -> None:
    """Ask for a download and do what a worker would."""
    core = core_of(service)
    task_id = expect(service.post(f"/package/{package_id}/download"), 202)["task_id"]
    package = service.package(package_id)
    request = FetchRequest(package_id, package["name"], package["version"])
    artifact = asyncio.run(core.sources["nix"].fetch(request, Remembering()))
    assert core.database.transact(lambda session: downloads.succeed(session, task_id, artifact))


def activate(service: Service, package_id: int, **body: Any) -> int:
    """Activate a package; answers the generation."""
    return int(expect(service.post(f"/package/{package_id}/activate", body or None), 200)["generation"])


def environment(service: Service) -> dict[str, Any]:
    """What the service says is live."""
    shown: dict[str, Any] = expect(service.get("/environments/nix/default"), 200)
    return shown


def generations(service: Service) -> list[dict[str, Any]]:
    """The generations as the service shows them, the newest first."""
    shown: list[dict[str, Any]] = expect(service.get("/environments/nix/default/generations"), 200)
    return shown


def profile_of(service: Service) -> Path:
    """The profile's path."""
    return Path(environment(service)["path"])


def bench_of(service: Service) -> Bench:
    """What the verbs on environments work with."""
    assert service.services is not None
    core = service.services.core
    return Bench(core.database, service.services.host, core.settings.data_dir)


def host_of(service: Service) -> Host:
    """Where the environments are."""
    assert service.services is not None
    return service.services.host


def programs(service: Service) -> list[str]:
    """What is really live: the programs in the profile."""
    folder = profile_of(service) / "bin"
    return sorted(os.listdir(folder)) if folder.is_dir() else []


def check_truth(service: Service) -> None:
    """What the service says agrees with ``readlink`` and with the packages' statuses."""
    shown = environment(service)
    live = nix_profile.live(Path(shown["path"]))
    assert shown["generation"] == (live.generation if live else None)
    there = {package["id"] for package in shown["packages"]}
    active = {package["id"] for package in expect(service.get("/packages", params={"status": "activated"}), 200)}
    assert there == active
    current = [generation["number"] for generation in generations(service) if generation["current"]]
    assert current == ([live.generation] if live else [])
