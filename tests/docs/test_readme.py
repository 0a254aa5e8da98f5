"""The README's quick start, typed as it stands: ``make serve`` in one shell, the commands in another. Only the port is another one."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from example.config import Settings
from tests.docs.pages import shell_blocks
from tests.service import ROOT, free_port

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("curl") is None, reason="the quick start needs curl")]

SERVE, CURL, PKGCTL = shell_blocks("Quick start by hand")
STARTED_WITHIN = 60.0


@dataclass
class Checkout:
    """A folder in which a reader types: the Makefile and the programs of this checkout, set up already, and a home."""

    folder: Path
    port: int

    def env(self) -> dict[str, str]:
        settings = {*Settings.model_fields, "nix_path", "pkgctl_token", "api_key", "makeflags", "makelevel", "xdg_config_home"}
        kept = {name: value for name, value in os.environ.items() if name.lower() not in settings}
        home = {"HOME": str(self.folder / "home"), "PKGCTL_URL": f"http://127.0.0.1:{self.port}", "NO_PROXY": "127.0.0.1"}
        return kept | home | {"PYTHONPATH": str(ROOT)}

    def typed(self, commands: str) -> str:
        """What the commands print in a plain shell that stops at the first failure."""
        line = commands.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        argv = ["sh", "-eu", "-c", line]
        ended = subprocess.run(argv, cwd=self.folder, env=self.env(), capture_output=True, text=True, check=False, timeout=60)
        assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
        return ended.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout in which the README's first block is being served."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in (".venv/bin", "scripts", "home", "example"):  # example: what --reload watches; the code is this checkout's
        (folder / name).mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    modules = dict(re.findall(r'"([a-z-]+)=(example\.[\w.]+):', (ROOT / "setup.py").read_text(encoding="utf-8"))) | {"uvicorn": "uvicorn"}
    programs = {folder / ".venv/bin" / name: f'exec {sys.executable} -P -m {module} "$@"' for name, module in modules.items()}
    for program, text in {**programs, folder / "scripts/setup.sh": "true"}.items():
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    made = Checkout(folder, free_port())
    with open(folder / "serve.log", "wb") as log:
        command = f"{SERVE.strip()} ARGS='--port {made.port}'"
        server = subprocess.Popen(["sh", "-c", command], cwd=folder, env=made.env(), stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(made, server)
        yield made
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def _wait_for(checkout: Checkout, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTED_WITHIN
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{checkout.port}/health", trust_env=False).raise_for_status()
            return
        except httpx.HTTPError:
            said = (checkout.folder / "serve.log").read_text(errors="replace")
            assert server.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)


def test_the_readme_has_one_command_to_serve_then_curl_then_pkgctl() -> None:
    assert SERVE.strip().endswith("make serve")
    assert "curl" in CURL
    assert "pkgctl" in PKGCTL


def test_the_quick_start_works_as_typed_with_curl_and_then_with_pkgctl(checkout: Checkout) -> None:
    printed = checkout.typed(CURL)
    assert "installed hello 2.1.0" in printed, "the live log"
    assert '"status":"downloaded"' in printed
    assert json.loads(printed.splitlines()[-2]) == {"status": "activated", "generation": 1}
    assert printed.splitlines()[-1] == "Hello, wonderful world!"

    printed = checkout.typed(PKGCTL)
    assert "Activated cowsay v3.8.4" in printed
    assert "Rolled back to generation 1: hello v2.1.0" in printed
    assert (checkout.folder / "data/root/store").is_dir(), "the store is where NIX_ROOT says"


def test_the_server_says_what_the_readme_tells_to_wait_for(checkout: Checkout) -> None:
    assert "Application startup complete" in (checkout.folder / "serve.log").read_text(errors="replace")
