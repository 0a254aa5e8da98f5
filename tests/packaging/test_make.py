"""The Makefile's promises: what it lists, and that the setting up comes first."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.packaging.paths import ROOT

TARGETS = ["demo", "serve", "test", "test-fast", "bench", "lint", "format", "lock", "migration", "clean", "help"]


def make(*arguments: str) -> str:
    env = {"PATH": os.environ["PATH"]}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=30, check=True).stdout


@pytest.mark.parametrize("arguments", [(), ("help",)], ids=["make", "make help"])
def test_it_lists_every_target_with_one_line(arguments: tuple[str, ...]) -> None:
    assert re.findall(r"^make (\S+) +\S.*$", make(*arguments), re.MULTILINE) == TARGETS


@pytest.mark.parametrize("target", ["demo", "serve", "test", "test-fast", "bench", "lint", "format", "lock", "migration"])
def test_every_target_sets_up_what_it_needs_first(target: str) -> None:
    assert make("--dry-run", target).startswith("scripts/setup.sh")


def test_test_runs_the_whole_suite_and_requires_full_coverage() -> None:
    command = make("--dry-run", "test").splitlines()[-1]
    assert command.startswith(".venv/bin/python -m pytest")
    assert "--cov-fail-under=100" in command
    assert "-m " not in command.removeprefix(".venv/bin/python -m pytest")


def test_clean_never_touches_data() -> None:
    assert "data" not in make("--dry-run", "clean").split()


def test_ci_runs_every_check_and_every_test() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert re.findall(r"^make (\S+)$", script.read_text(encoding="utf-8"), re.MULTILINE) == ["lint", "test"]
