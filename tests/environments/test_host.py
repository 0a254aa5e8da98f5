"""One change of an environment at a time, on every process of the host."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from example.environments import host as hosts
from example.environments.host import Host, exclusive
from example.errors import EnvironmentBusy
from example.nix.runtime import NixRuntime
from tests.nixstore import make_settings


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with environments of its own."""
    return Host(NixRuntime.of(make_settings(tmp_path / "data")), tmp_path / "environments")


def test_a_profile_is_named_by_the_servers_number(host: Host) -> None:
    assert host.profile(7) == host.folder / "7/profile"


def test_changes_come_one_after_the_other(host: Host) -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def change() -> None:
        nonlocal inside, most
        with exclusive(host, 1):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.02)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=change) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_two_environments_change_side_by_side(host: Host) -> None:
    with exclusive(host, 1) as one, exclusive(host, 2, patience=0) as two:
        assert one != two


def test_who_waits_too_long_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "_LOCK_POLL_SECONDS", 0.01)
    with exclusive(host, 1), pytest.raises(EnvironmentBusy, match="still going on"), exclusive(host, 1, patience=0.1):
        pass
    with exclusive(host, 1, patience=0):
        pass


def test_a_process_that_dies_holds_nothing(host: Host) -> None:
    with exclusive(host, 1):
        pass
    script = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); input()"
    argv = [sys.executable, "-c", script, str(host.folder / "1/lock")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(EnvironmentBusy), exclusive(host, 1, patience=0):
            pass
        other.kill()
        other.wait()
        with exclusive(host, 1, patience=2):
            pass
