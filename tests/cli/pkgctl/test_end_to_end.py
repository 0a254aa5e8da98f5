"""pkgctl against the real service: from a first token to a program that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from example.config import Settings
from example.nix.pins import DEMO
from tests import databases
from tests.nixstore import make_settings
from tests.service import ROOT, Service, in_process

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("real")
    url = databases.sqlite_url(folder / "template.db", folder)
    settings: Settings = make_settings(folder / "data", database_url=url, nix_pins=f"demo={DEMO.path}")
    yield from in_process(settings)


@pytest.fixture
def pkgctl(real: Service, tmp_path: Path) -> Run:
    """Runs the command as a person's shell does, in a pipe; its configuration is the test's own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PKGCTL_", "API_KEY"))}
    env |= {"PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path), "PKGCTL_URL": str(real.http.base_url)}

    def run(*words: str, token: str | None = real.token, status: int = 0) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "example.cli.pkgctl.main", *words]
        extra = {"PKGCTL_TOKEN": token} if token else {}
        done = subprocess.run(argv, env=env | extra, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return run


def test_a_package_is_created_downloaded_and_activated(pkgctl: Run, real: Service) -> None:
    assert "Created hello v2.1.0 as package 1" in pkgctl("create", "hello", "2.1.0").stdout
    followed = pkgctl("download", "1", "--follow").stdout
    assert "building" in followed
    assert "\n\n" not in followed, "a log line is one line"
    assert pkgctl("activate", "1", "--check-command", "hello --version").stdout == "Success: Activated hello v2.1.0\n"
    path = real.get("/environments/nix/default").json()["path"]
    assert subprocess.run([f"{path}/bin/hello"], capture_output=True, text=True, check=True).stdout == "Hello, wonderful world!\n"


def test_a_failing_download_exits_with_1_and_says_why(pkgctl: Run, real: Service) -> None:
    package_id = real.create("broken", "1.0.0")
    assert "libfrobnicate 2.0 or newer is needed" in pkgctl("download", str(package_id), "--follow", status=1).stderr


def test_rolling_back_shows_what_is_live_again(pkgctl: Run, real: Service) -> None:
    old, new = real.ready("hello", "1.0.0"), real.ready("hello", "2.0.0")
    pkgctl("activate", str(old))
    pkgctl("activate", str(new))
    assert "1.0.0" in pkgctl("env", "rollback").stdout


def test_a_saved_token_serves_the_next_command(pkgctl: Run) -> None:
    pkgctl("token", "create", "--save", "--name", "saved", token=None)
    assert "saved" in pkgctl("token", "list", token=None).stdout


def test_without_a_token_it_says_how_to_get_one(pkgctl: Run) -> None:
    assert "pkgctl token create --save" in pkgctl("list", token=None, status=1).stderr


def test_a_cancelled_job_leaves_a_package_that_can_be_asked_for_again(pkgctl: Run, real: Service) -> None:
    package_id = real.create("countdown", "1.0.0")
    task_id = real.post(f"/package/{package_id}/download").json()["task_id"]
    pkgctl("jobs", "cancel", task_id)
    assert "cancelled" in pkgctl("jobs", "show", task_id).stdout
    assert real.download(package_id)["status"] == "downloaded"
