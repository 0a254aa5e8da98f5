"""scripts/setup.sh on machines that lack something: what it installs, and what it says when it may not.

A machine here is a folder of programs on PATH: real ones by link, others faked by shell scripts. Installing for real is CI's and the
demo's business.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.packaging.paths import ROOT

ALWAYS_THERE = ["bash", "cat", "dirname", "env", "grep", "mktemp", "rm", "sha256sum", "tail"]
# A python3 that is new enough and whose venv module makes a folder with a pip that always succeeds.
PYTHON = """
case "$*" in
    *version_info.minor*) echo 11 ;;
    "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    -VV | --version) echo "Python 3.11.2" ;;
    "-m pip"*) echo "$*" >>pip.log ;;
esac
"""
OLD_PYTHON = 'case "$*" in --version) echo "Python 3.9.2" ;; *) exit 1 ;; esac'
PYTHON_WITHOUT_VENV = 'case "$*" in *ensurepip*) [ -e python3.11-venv ] ;; *) ' + PYTHON + " ;; esac"
# apt-get that notes what it is asked for; it knows packages once the lists are there.
APT_GET = 'echo "$*" >>apt.log; case "$*" in *update*) touch lists ;; *install*) [ -e lists ] && touch "${!#}" ;; esac'
APT_CACHE = 'if [ -e lists ]; then echo "  Candidate: 1.0"; else echo "  Candidate: (none)"; fi'


@dataclass
class Machine:
    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "bin").mkdir()
        (self.folder / "scripts").mkdir()
        for file in ("setup.py", "requirements.txt", "requirements-dev.txt", "scripts/setup.sh"):
            shutil.copy(ROOT / file, self.folder / file)
        for program in (*ALWAYS_THERE, "mkdir", "cp", "touch", "true"):
            (self.folder / "bin" / program).symlink_to(shutil.which(program) or sys.exit(f"{program} is missing"))
        self.program("id", "echo 1000")
        self.program("python3", PYTHON)
        self.program("nix-build", "")
        self.program("redis-server", "")

    def program(self, name: str, text: str) -> None:
        file = self.folder / "bin" / name
        file.unlink(missing_ok=True)
        file.write_text(f"#!/bin/bash\n{text}\n")
        file.chmod(0o755)

    def lacks(self, name: str) -> None:
        (self.folder / "bin" / name).unlink()

    def has_apt(self) -> None:
        self.program("apt-get", APT_GET)
        self.program("apt-cache", APT_CACHE)

    def set_up(self, what: str = "runtime") -> subprocess.CompletedProcess[str]:
        argv = ["bash", "scripts/setup.sh", what]
        env = {"PATH": str(self.folder / "bin"), "HOME": str(self.folder / "nowhere")}
        return subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, timeout=30, check=False)

    def log(self, name: str) -> list[str]:
        file = self.folder / name
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def refusal(machine: Machine) -> str:
    answer = machine.set_up()
    assert answer.returncode == 1
    assert answer.stdout == ""
    (line,) = answer.stderr.splitlines()
    return line


def test_an_old_python_is_refused_in_one_line(machine: Machine) -> None:
    machine.program("python3", OLD_PYTHON)
    expected = "Python 3.11 or newer is missing (found: Python 3.9.2): install it, or name one with PYTHON=/path/to/python3"
    assert refusal(machine) == f"setup: {expected}"


def test_no_python_is_refused_in_one_line(machine: Machine) -> None:
    machine.lacks("python3")
    assert "(found: none)" in refusal(machine)


def test_a_newer_python_under_its_own_name_is_found(machine: Machine) -> None:
    machine.program("python3", OLD_PYTHON)
    machine.program("python3.12", PYTHON)
    assert machine.set_up().returncode == 0


def test_without_nix_and_without_root_it_says_how_to_get_nix(machine: Machine) -> None:
    machine.lacks("nix-build")
    machine.has_apt()
    assert refusal(machine) == "setup: Nix is missing: run 'sudo apt-get install nix-bin', or take the installer of nixos.org"
    assert machine.log("apt.log") == []


def test_without_venv_and_without_root_it_says_how_to_get_it(machine: Machine) -> None:
    machine.program("python3", PYTHON_WITHOUT_VENV)
    machine.has_apt()
    assert refusal(machine) == "setup: Python's venv module is missing: run 'sudo apt-get install python3.11-venv'"


@pytest.mark.parametrize("right", ["root", "sudo"])
def test_with_root_or_sudo_it_installs_what_is_missing(machine: Machine, right: str) -> None:
    machine.lacks("nix-build")
    machine.program("python3", PYTHON_WITHOUT_VENV)
    machine.has_apt()
    if right == "root":
        machine.program("id", "echo 0")
    else:
        machine.program("sudo", '[ "$1" = -n ] && shift && exec "$@"')
    answer = machine.set_up()
    assert answer.returncode == 0, answer.stderr
    asked = " ".join(machine.log("apt.log"))
    assert "install -y --no-install-recommends nix-bin" in asked
    assert "install -y --no-install-recommends python3.11-venv" in asked


def test_sudo_that_wants_a_password_is_not_waited_for(machine: Machine) -> None:
    machine.lacks("nix-build")
    machine.has_apt()
    machine.program("sudo", "exit 1")
    assert "sudo apt-get install nix-bin" in refusal(machine)


def test_package_lists_are_fetched_only_when_apt_does_not_know_the_package(machine: Machine) -> None:
    machine.lacks("nix-build")
    machine.has_apt()
    machine.program("id", "echo 0")
    (machine.folder / "lists").touch()
    assert machine.set_up().returncode == 0
    assert [line for line in machine.log("apt.log") if "update" in line] == []


def test_package_lists_are_fetched_when_what_they_name_is_gone(machine: Machine) -> None:
    machine.lacks("nix-build")
    machine.has_apt()
    machine.program("apt-cache", "echo '  Candidate: 1.0'")
    machine.program("id", "echo 0")
    assert machine.set_up().returncode == 0
    assert ["update" in line for line in machine.log("apt.log")] == [False, True, False]


def test_the_second_time_nothing_is_installed(machine: Machine) -> None:
    machine.set_up("dev")
    before = machine.log("pip.log")
    for what in ("dev", "runtime"):
        assert machine.set_up(what).stdout == ""
    assert machine.log("pip.log") == before


def test_development_goes_on_top_of_the_runtime(machine: Machine) -> None:
    machine.set_up("runtime")
    assert "making .venv" not in machine.set_up("dev").stdout
    assert "-r requirements-dev.txt" in " ".join(machine.log("pip.log"))


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt", "setup.py"])
def test_changed_requirements_make_the_environment_anew(machine: Machine, file: str) -> None:
    machine.set_up("dev")
    with (machine.folder / file).open("a") as changed:
        changed.write("# changed\n")
    assert "making .venv" in machine.set_up("dev").stdout


def test_a_copied_environment_is_made_anew(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> None:
    machine.set_up()
    copy = tmp_path_factory.mktemp("copy") / "work"
    shutil.copytree(machine.folder, copy, symlinks=True)
    moved = object.__new__(Machine)
    moved.folder = copy
    assert "making .venv" in moved.set_up().stdout


def test_a_failure_shows_the_output_and_is_not_taken_for_done(machine: Machine) -> None:
    machine.program("python3", PYTHON.replace('echo "$*" >>pip.log', "echo no space left; exit 1"))
    answer = machine.set_up()
    assert answer.returncode == 1
    assert "no space left" in answer.stderr
    machine.program("python3", PYTHON)
    assert "making .venv" in machine.set_up().stdout
