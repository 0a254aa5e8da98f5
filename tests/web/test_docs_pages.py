"""/docs and /redoc: from this server only, under a policy that lets nothing else load, and alive in a browser."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from example.app import create_app
from tests.service import Service

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAGES = pytest.mark.parametrize("page", ["/docs", "/redoc"])


@PAGES
def test_a_page_names_no_other_server(shared: Service, page: str) -> None:
    answer = shared.http.get(page, headers=shared.anonymous())
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert re.findall(r"""(?:https?:)?//[^\s"']+""", answer.text) == []


@PAGES
def test_everything_that_a_page_loads_is_here(shared: Service, page: str) -> None:
    loaded = re.findall(r"""(?:src|href)="([^"]+)\"""", shared.http.get(page).text)
    assert len(loaded) >= 2
    for path in loaded:
        answer = shared.http.get(path, headers=shared.anonymous())
        assert answer.status_code == 200 and len(answer.content) > 100, path


@PAGES
def test_the_policy_lets_only_this_server_and_the_pages_own_script_run(shared: Service, page: str) -> None:
    answer = shared.http.get(page)
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    scripts = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts]
    assert policy["default-src"] == "'none'"
    assert policy["script-src"].split() == ["'self'", *hashes]
    assert policy["connect-src"] == "'self'" and policy["frame-ancestors"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_behind_a_prefix_the_pages_load_from_below_it(shared: Service) -> None:
    """``uvicorn --root-path /packages``."""

    async def ask() -> list[str]:
        transport = httpx.ASGITransport(create_app(shared.settings), root_path="/packages")
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
            return [(await http.get(page)).text for page in ("/packages/docs", "/packages/redoc")]

    for text in asyncio.run(ask()):
        assert "/packages/openapi.json" in text and 'src="/packages/docs-assets/' in text


def rendered(url: str, folder: Path) -> str:
    """The page as Chromium has made it; the caller has seen that there is one."""
    browser = next(path for name in BROWSERS if (path := shutil.which(name)))
    argv = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={folder}", "--virtual-time-budget=15000", "--dump-dom", url,
    ]  # fmt: skip
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.slow
@pytest.mark.parametrize(("page", "shows"), [
    ("/docs", ["opblock-summary", "Create a package", "btn authorize", "POST", "Revoke a token"]),
    ("/redoc", ["Create a package", "Revoke a token", "application/problem+json"]),
])  # fmt: skip
def test_a_page_shows_the_operations(shared: Service, tmp_path: Path, page: str, shows: list[str]) -> None:
    """In a browser where there is one; everywhere else, that the page starts its viewer on the document."""
    if any(map(shutil.which, BROWSERS)):
        text = rendered(f"{shared.http.base_url}{page}", tmp_path)
        assert [one for one in shows if one not in text] == []
    else:
        text = shared.http.get(page).text
        assert "/openapi.json" in text and ("SwaggerUIBundle(" in text or "<redoc" in text)
