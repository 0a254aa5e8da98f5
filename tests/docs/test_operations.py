"""docs/operations.md: its commands for SECRET_KEY, the audit and back-ups, typed as they stand against a service in production."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.docs.checkout import Checkout
from tests.docs.pages import OPERATIONS, shell_blocks
from tests.service import API, expect, expect_problem

pytestmark = pytest.mark.slow

ROTATE, REMOVE = shell_blocks("Changing SECRET_KEY", OPERATIONS)
(AUDIT,) = shell_blocks("Audit", OPERATIONS)
SAVE, RESTORE = shell_blocks("Back-ups", OPERATIONS)
(FIRST,) = shell_blocks("The first administrator", OPERATIONS)
PASSWORD = "marble otter staircase"
needs_sqlite = pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the back-up needs sqlite3")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh installation in production, its settings in ``.env``."""
    made = Checkout.make(tmp_path / "checkout")
    data = made.folder / "live"
    made.more = {"DATA_DIR": str(data), "PATH": f"{made.folder / '.venv/bin'}:{os.environ['PATH']}"}
    lines = ("APP_ENV=production", f"SECRET_KEY={'first-key-of-many-letters-0123456789'}", f"NIX_ROOT={data / 'root'}")
    (made.folder / ".env").write_text("\n".join(lines) + "\n")
    return made


@contextmanager
def serving(checkout: Checkout) -> Iterator[httpx.Client]:
    log, program = checkout.folder / "server.log", str(checkout.folder / ".venv/bin/uvicorn")
    argv = [program, "example.server:app", "--port", str(checkout.port), "--no-access-log", "--timeout-graceful-shutdown", "5"]
    with open(log, "ab") as file:
        server = subprocess.Popen(argv, cwd=checkout.folder, env=checkout.env(), stdout=file, stderr=file)
    with httpx.Client(base_url=checkout.url, trust_env=False, timeout=30) as http:
        try:
            _wait_for(http, server, log)
            yield http
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(http: httpx.Client, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            expect(http.get("/health/ready"), 200)
            return
        except httpx.HTTPError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


def administrator(checkout: Checkout) -> str:
    """The first administrator's token, and a password."""
    found = re.search(r"pm_pat_\w{50}", checkout.typed("example-init"))
    assert found is not None
    checkout.typed(f"echo '{PASSWORD}' | example-admin users set-password admin --password-stdin")
    return found[0]


def another_token(checkout: Checkout, name: str) -> str:
    return checkout.typed(f"example-admin tokens create admin --name {name}").strip()


def ask(http: httpx.Client, token: str) -> httpx.Response:
    return http.get(f"{API}/packages", headers={"Authorization": f"Bearer {token}"})


def log_in(http: httpx.Client) -> str:
    return str(expect(http.post(f"{API}/auth/login", json={"username": "admin", "password": PASSWORD}), 200)["token"])


def test_a_key_is_changed_as_typed_and_what_is_used_lives_on(checkout: Checkout) -> None:
    used, unused = administrator(checkout), another_token(checkout, "unused")
    with serving(checkout) as http:
        session = log_in(http)
    head = checkout.typed("example-admin audit verify").splitlines()[-1]

    checkout.typed(ROTATE)
    with serving(checkout) as http:
        expect(ask(http, used), 200)
        expect(ask(http, session), 200)
    checkout.typed(REMOVE)
    with serving(checkout) as http:
        expect(ask(http, used), 200)
        expect_problem(ask(http, unused), 401, "token_invalid")
        expect_problem(ask(http, session), 401, "token_invalid")
        expect(ask(http, log_in(http)), 200)
    assert "are as they were written" in checkout.typed(f"example-admin audit verify --expect '{head}'")
    assert (checkout.folder / ".env").read_text().count("SECRET_KEY") == 1


def test_a_leaked_key_is_changed_at_once_only_passwords_live_on_and_the_audit_verifies_as_typed(checkout: Checkout) -> None:
    leaked = administrator(checkout)
    checkout.typed(f"{ROTATE}\nexample-init\n{REMOVE}")
    with serving(checkout) as http:
        expect_problem(ask(http, leaked), 401, "token_invalid")
        expect(ask(http, log_in(http)), 200)
        expect(ask(http, another_token(checkout, "new")), 200)

    assert checkout.typed(AUDIT).count("are as they were written") == 2
    assert (checkout.folder / "audit.ndjson").exists()


@needs_sqlite
def test_a_back_up_made_while_serving_is_restored_and_the_first_token_ended_as_typed(checkout: Checkout) -> None:
    token, live = administrator(checkout), Path(checkout.more["DATA_DIR"])
    headers = {"Authorization": f"Bearer {token}"}
    with serving(checkout) as http:
        expect(http.post(f"{API}/packages", json={"name": "hello", "version": "2.1.0"}, headers=headers), 201)
        expect(http.post(f"{API}/package/1/download", headers=headers), 202)
        deadline = time.monotonic() + 60
        while expect(http.get(f"{API}/package/1", headers=headers), 200)["status"] == "downloading":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        expect(http.post(f"{API}/package/1/activate", headers=headers), 200)
        checkout.typed(SAVE)
        expect(http.post(f"{API}/packages", json={"name": "late", "version": "1"}, headers=headers), 201)
    live.rename(checkout.folder / "lost")

    assert "are as they were written" in checkout.typed(RESTORE)
    with serving(checkout) as http:
        assert [package["name"] for package in expect(http.get(f"{API}/packages", headers=headers), 200)] == ["hello"]
        profile = expect(http.get(f"{API}/environments/nix/default", headers=headers), 200)["path"]
        assert subprocess.run([f"{profile}/bin/hello"], capture_output=True, text=True, check=True).stdout == "Hello, wonderful world!\n"
        checkout.typed(FIRST.replace("set-password admin", "set-password admin --generate-password"))
        expect_problem(ask(http, token), 401, "token_revoked")
    assert {file.name: file.stat().st_mode & 0o077 for file in (checkout.folder / "backup").iterdir()} == {
        "app.db": 0,
        "data.tar.gz": 0,
        ".env": 0,
        "audit-head": 0,
    }
