"""A host that fails the service: no space, a store that can't be written, no Nix; and builds that don't behave. The service goes on."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from example.config import Settings
from tests.nixstore import eventually, processes
from tests.service import Service, expect, expect_problem, in_process

pytestmark = pytest.mark.slow


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,nr_inodes=3000", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def failed(service: Service, package_id: int, seconds: float = 30) -> str:
    """Download a package that can't be: its error, which its job shows too."""
    package = service.download(package_id, seconds)
    assert package["status"] == "failed", package
    job = expect(service.get(f"/jobs/{package['task_id']}"), 200)
    assert (job["state"], job["error"]) == ("failed", package["error"])
    return str(package["error"])


@contextmanager
def working_with(settings: Settings, **changes: Any) -> Iterator[Service]:
    """The service with jobs and other settings."""
    yield from in_process(settings.model_copy(update={"jobs_in_web": True, **changes}))


def fill(folder: Path) -> Path:
    """Leave no space in a file system, and none for more files; answers what to delete."""
    ballast = folder / "ballast"
    ballast.mkdir()
    with (ballast / "big").open("wb", buffering=0) as file:
        until_full(lambda _: file.write(b"x" * 4096))
    until_full(lambda number: (ballast / str(number)).touch())
    return ballast


def until_full(work: Callable[[int], object]) -> None:
    """Go on until there is no space."""
    with suppress(OSError):
        for number in itertools.count():
            work(number)


def test_a_build_that_fills_the_stores_disk_says_so_and_the_next_build_works(settings: Settings, tiny: Path) -> None:
    with working_with(settings, nix_root=tiny / "root") as service:
        assert "is full; free some space" in failed(service, service.create("filling", "1.0"))
        service.ready("tool", "3.0")


def test_a_full_data_directory_says_so_and_works_again_when_there_is_space(settings: Settings, tiny: Path, tmp_path: Path) -> None:
    with working_with(settings, data_dir=tiny, nix_root=tmp_path / "root") as service:
        ballast = fill(tiny)
        package_id = service.create("tool", "3.0")
        assert "is full; free some space" in failed(service, package_id)
        shutil.rmtree(ballast)
        assert service.download(package_id)["status"] == "downloaded"


def test_a_full_disk_under_the_database_refuses_changes_and_loses_nothing(settings: Settings, tiny: Path, tmp_path: Path) -> None:
    if settings.sqlalchemy_url.get_backend_name() != "sqlite":
        return  # PostgreSQL's disk is not ours to fill
    shutil.copy(str(settings.sqlalchemy_url.database), tiny / "app.db")
    url = f"sqlite:///{tiny / 'app.db'}"
    changed = Settings(_env_file=None, **(settings.model_dump(exclude_none=True) | {"database_url": url, "jobs_in_web": True}))
    with working_with(changed) as service:
        before = service.ready("toolbox", "3.0")
        running = service.create("countdown", "1.0.0")
        expect(service.post(f"/package/{running}/download"), 202)
        ballast = fill(tiny)
        problem = expect_problem(service.post("/packages", {"name": "x" * 40, "version": "1." + "0" * 60}), 507, "storage_full")
        assert "disk is full" in problem["detail"]
        assert service.package(before)["status"] == "downloaded"
        eventually(lambda: processes(f"--out-link\0{service.settings.data_dir}") == [], 12)
        shutil.rmtree(ballast)
        assert service.until(running, 60)["status"] == "downloaded"
        service.ready("tool", "3.0")


def test_a_store_that_cannot_be_written_says_so_and_works_again_when_it_can(settings: Settings, tiny: Path) -> None:
    with working_with(settings, nix_root=tiny / "root") as service:
        first = service.ready("tool", "3.0")
        package_id = service.create("toolbox", "3.0")
        subprocess.run(["mount", "-o", "remount,ro", str(tiny)], check=True)
        assert "can't be written" in failed(service, package_id)
        problem = expect_problem(service.post(f"/package/{first}/activate"), 409, "activation_failed")
        assert problem["detail"].endswith("nothing is live, as before")
        subprocess.run(["mount", "-o", "remount,rw", str(tiny)], check=True)
        assert service.download(package_id)["status"] == "downloaded"
        expect(service.post(f"/package/{first}/activate"), 200)


def test_without_nix_every_verb_says_how_to_get_it_and_works_once_it_is_there(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}:{tmp_path}")
    with working_with(settings) as service:
        package_id = service.create("tool", "3.0")
        assert "nix-build is not on PATH; install Nix: apt-get install nix-bin" in failed(service, package_id)
        for name in ("nix-build", "nix-env", "nix-store", "setpriv", "unshare"):
            os.symlink(shutil.which(name, path=os.defpath + ":/nix/var/nix/profiles/default/bin:/usr/local/bin") or "", tools / name)
        assert service.download(package_id)["status"] == "downloaded"
        (tools / "nix-env").unlink()
        problem = expect_problem(service.post(f"/package/{package_id}/activate"), 409, "activation_failed")
        assert "nix-env is not on PATH" in problem["detail"]


def test_a_build_that_prints_a_hundred_megabytes_is_stopped_and_little_of_it_kept(settings: Settings) -> None:
    limit = 200_000
    with working_with(settings, nix_log_limit=limit) as service:
        error = failed(service, service.create("flooding", "1.0"))
        assert f"wrote more than {limit} bytes of log (NIX_LOG_LIMIT)" in error
        assert len(error) < 20_000
        task_id = service.package(1)["task_id"]
        assert len(service.get(f"/jobs/{task_id}/log").text) < 2 * limit
        service.ready("tool", "3.0")


def test_a_build_that_takes_too_long_is_stopped_and_said_so(settings: Settings) -> None:
    with working_with(settings, nix_build_timeout=2) as service:
        assert "took longer than the limit (NIX_BUILD_TIMEOUT)" in failed(service, service.create("talking", "1.0"))
        assert eventually(lambda: processes(f"--out-link\0{service.settings.data_dir}") == [])
        service.ready("tool", "3.0")


def test_a_build_that_hangs_in_silence_is_stopped_and_said_so(settings: Settings) -> None:
    with working_with(settings, nix_silent_timeout=2) as service:
        assert "was silent for the limit (NIX_SILENT_TIMEOUT)" in failed(service, service.create("sleeping", "1.0"))
        service.ready("tool", "3.0")
