"""The README's quick start, typed as it stands: ``make serve`` in one shell, the commands in another. Only the port is another one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.docs.checkout import Checkout
from tests.docs.pages import shell_blocks

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("curl") is None, reason="the quick start needs curl")]

SERVE, CURL, PKGCTL = shell_blocks("Quick start by hand")
STARTED_WITHIN = 60.0


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout in which the README's first block is being served."""
    made = Checkout.make(tmp_path_factory.mktemp("readers") / "checkout")
    folder = made.folder
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
            httpx.get(f"{checkout.url}/health", trust_env=False).raise_for_status()
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
