"""The first token: who gets one without credentials."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from example.app import create_app
from example.config import Settings
from example.identity.bootstrap import is_direct_loopback
from tests.service import API, Service, environment_of, expect, expect_problem, in_process

GOOD_KEY = "kJ8s-Qm2ZxV0rT5yWc7LbN4dFh1GpUaE9oXi"


def ask(service: Service, **headers: str) -> httpx.Response:
    """POST /tokens as a program without credentials does it."""
    with httpx.Client(base_url=service.http.base_url) as http:
        return http.post(f"{API}/tokens", headers=headers)


def test_a_program_on_this_machine_gets_a_token_with_every_scope(shared: Service) -> None:
    made = expect(ask(shared), 201)
    assert "system:admin" in made["scopes"] and made["resources"] == []
    expect(shared.get("/packages", headers=shared.with_token(made["token"])), 200)


def test_the_first_token_can_be_asked_for_with_less(shared: Service) -> None:
    wanted = {"scopes": ["packages:read"], "allowed_ips": ["127.0.0.1"], "expires_in_days": 1}
    made = expect(httpx.post(f"{shared.http.base_url}{API}/tokens", json=wanted), 201)
    assert (made["scopes"], made["allowed_ips"]) == (wanted["scopes"], wanted["allowed_ips"])


def test_the_first_token_takes_only_networks(shared: Service) -> None:
    expect_problem(httpx.post(f"{shared.http.base_url}{API}/tokens", json={"allowed_ips": ["here"]}), 422, "validation_error")


@pytest.mark.parametrize(
    "header",
    [
        {"Forwarded": "for=1.2.3.4"}, {"X-Forwarded-For": "127.0.0.1"}, {"X-Forwarded-Host": "x"}, {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Prefix": "/"}, {"X-Real-IP": "127.0.0.1"}, {"Via": "1.1 proxy"}, {"CF-Connecting-IP": "127.0.0.1"},
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"}, {"Host": "evil.example:8000"}, {"Host": "127.0.0.1.evil.example"}, {"Host": "localhost.evil.example"},
        {"Host": ""},
    ],
)  # fmt: skip
def test_a_request_that_was_passed_on_or_comes_from_a_page_gets_none(shared: Service, header: dict[str, str]) -> None:
    problem = expect_problem(ask(shared, **header), 401, "credentials_missing")
    assert "only for programs on the server's own machine" in problem["detail"]


@pytest.mark.parametrize(
    ("peer", "host", "direct"),
    [
        ("127.0.0.1", "localhost:8000", True), ("127.0.0.1", "127.0.0.1", True), ("::1", "[::1]:8000", True), ("127.8.8.8",
        "127.0.0.1:1", True),
        ("192.0.2.7", "127.0.0.1", False), (None, "localhost", False), ("", "localhost", False), ("unix", "localhost", False),
        ("127.0.0.1", "[::1", False), ("127.0.0.1", "[]", False), ("127.0.0.1", "0.0.0.0", False), ("127.0.0.1", "2130706433", False),
    ],
)  # fmt: skip
def test_direct_is_a_loopback_peer_that_asks_for_a_loopback_name(peer: str | None, host: str, direct: bool) -> None:
    assert is_direct_loopback(peer, {"host": host}) is direct


@pytest.fixture
def generous(settings: Settings) -> Iterator[Service]:
    """A service that gives everybody a token."""
    yield from in_process(settings.model_copy(update={"anonymous_tokens": "always"}))


def test_where_everybody_may_a_proxy_may_too(generous: Service) -> None:
    expect(ask(generous, Forwarded="for=1.2.3.4", Host="example.org"), 201)


def test_where_nobody_may_the_answer_names_example_init(shared: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shared.services is not None
    monkeypatch.setattr(shared.services.core.settings, "anonymous_tokens", "never")
    problem = expect_problem(ask(shared), 401, "credentials_missing")
    assert "example-init" in problem["detail"]


@pytest.mark.slow
def test_in_production_example_init_gives_the_first_token_once(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, app_env="production", secret_key=GOOD_KEY, data_dir=tmp_path / "data", jobs_in_web=False)
    argv = [sys.executable, "-m", "example.cli.init"]
    said = [
        subprocess.run(argv, cwd=tmp_path, env=environment_of(settings), capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    token = said[0].split()[-1]
    assert token.startswith("pm_pat_") and "pm_pat_" not in said[1]

    async def ask_without_and_with() -> tuple[httpx.Response, httpx.Response]:
        app = create_app(settings)
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            return await http.post(f"{API}/tokens"), await http.post(f"{API}/tokens", headers={"Authorization": f"Bearer {token}"})

    without, with_token = asyncio.run(ask_without_and_with())
    expect_problem(without, 401, "credentials_missing")
    expect(with_token, 201)
