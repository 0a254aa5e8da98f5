"""deploy/example.service: hardened as far as Nix's sandbox allows."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.packaging.paths import ROOT

UNIT = ROOT / "deploy/example.service"


def directives() -> dict[str, str]:
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith(("#", "[")))


def test_it_runs_unprivileged_and_writes_only_data_and_store() -> None:
    unit = directives()
    assert unit["User"] == "example"
    assert (unit["NoNewPrivileges"], unit["CapabilityBoundingSet"]) == ("yes", "")
    assert (unit["ProtectSystem"], unit["StateDirectory"], unit["ReadWritePaths"]) == ("strict", "example", "/nix")


def test_it_restarts_and_holds_no_secret() -> None:
    unit = directives()
    assert (unit["Type"], unit["Restart"]) == ("exec", "always")
    assert unit["EnvironmentFile"].startswith("/etc/")
    assert "SECRET_KEY" not in unit["Environment"]


def test_no_line_of_the_environment_file_can_turn_production_into_development() -> None:
    lines = [line for line in UNIT.read_text(encoding="utf-8").splitlines() if line.startswith("ExecStart")]
    assert len(lines) == 2
    assert all("=/usr/bin/env APP_ENV=production DATA_DIR=/var/lib/example /opt/example/bin/" in line for line in lines)


@pytest.mark.parametrize(
    "directive",
    [
        "RestrictNamespaces", "ProtectHostname", "ProtectKernelTunables", "ProtectKernelLogs", "ProtectProc", "ProcSubset",
        "LockPersonality", "MemoryDenyWriteExecute", "PrivateUsers",
    ],
)  # fmt: skip
def test_what_would_break_the_sandbox_of_nix_stays_off_and_says_why(directive: str) -> None:
    assert directive not in directives()
    assert directive in UNIT.read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
def test_systemd_understands_every_line() -> None:
    argv = ["systemd-analyze", "verify", "--man=no", str(UNIT)]
    answer = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    # The programs are installed where it is deployed, not here.
    assert [line for line in answer.stderr.splitlines() if "is not executable" not in line] == []
