"""``scripts/demo.py`` in a pipe: what it shows, and that nothing is left behind, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.nixstore import eventually
from tests.service import ROOT

DEMO = [sys.executable, str(ROOT / "scripts/demo.py")]
PROGRAMS = ("sh", "setpriv", "unshare", "nix-build", "nix-env", "nix-store", "nix-instantiate")


def env_for(folder: Path, **more: str) -> dict[str, str]:
    """An environment whose temporary folder is ours, with no home, and with settings that must not count."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # what it does covers nothing new
    return {**kept, "HOME": "", "TMPDIR": str(folder), "APP_ENV": "production", "PYTHONPATH": str(ROOT), **more}


def left_behind(folder: Path) -> list[str]:
    """Files in the folder, and processes that know of it."""
    found = [str(path) for path in folder.iterdir()]
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdecimal() and os.fsencode(folder) in (process / "environ").read_bytes() + (process / "cmdline").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_it_takes_real_packages_from_created_to_activated_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    ended = subprocess.run(DEMO, cwd=tmp_path, env=env_for(folder), capture_output=True, text=True, check=False, timeout=120)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""
    assert "\033" not in ended.stdout
    for line in (
        "$ curl -s -X POST $API/packages -H",
        '"status": "downloaded"',
        '{"status": "activated", "generation": 1}',
        "countdown-1.0.0> countdown: 1 seconds left",
        '"progress": {"done": 0, "expected": 1, "phase": "building countdown-1.0.0"}',
        "broken: libfrobnicate 2.0 or newer is needed and was not found",
        "hello 9.9 is not available; versions: 2.1.0 (demo), 2.0.0 (demo), 1.0.0 (demo)",
        "generation 3 is live again",
        '"code": "insufficient_scope"',
        "$ pkgctl list",
        "== All as expected",
    ):
        assert line in ended.stdout
    greetings = [line.strip() for line in ended.stdout.splitlines() if line.strip().lower().startswith("hello, w")]
    assert greetings == ["hello, world", *["Hello, wonderful world!"] * 3, "hello, world"], "installed, upgraded, greeter, before, after"
    assert left_behind(folder) == []


@pytest.mark.slow
def test_interrupted_in_the_middle_of_a_build_it_leaves_nothing_without_curl_too(tmp_path: Path) -> None:
    folder, programs = tmp_path / "tmp", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).symlink_to(shutil.which(name) or f"/missing/{name}")
    env = env_for(folder, PATH=str(programs))
    with subprocess.Popen(DEMO, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None and demo.stderr is not None
        said = []
        for line in demo.stdout:
            said.append(line)
            if "4 seconds left" in line:
                demo.send_signal(signal.SIGINT)
                break
        demo.stdout.read()
        complaint = demo.stderr.read()
        status = demo.wait(30)

    assert "curl is not installed (apt-get install curl)" in "".join(said)
    assert (status, complaint.strip()) == (128 + signal.SIGINT, "demo: interrupted; stopping the service and clearing up …")
    assert eventually(lambda: left_behind(folder) == []), left_behind(folder)


def test_without_nix_it_says_in_one_line_what_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    ended = subprocess.run(
        DEMO, cwd=tmp_path, env=env_for(folder, PATH=str(folder)), capture_output=True, text=True, check=False, timeout=30
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "demo: nix-build is not on PATH; install Nix: apt-get install nix-bin, or https://nixos.org/download\n"
    assert left_behind(folder) == []
