"""One log line a request, with an id that comes back, and never a secret."""

from __future__ import annotations

import json
import sys
import time

import httpx
import pytest

from example.config import Settings
from tests.databases import PostgresServer
from tests.identity.known import KNOWN
from tests.nixstore import make_settings
from tests.service import API, Service, expect, expect_problem, free_port, start

CANARY = KNOWN


@pytest.mark.parametrize("given", ["12345678", "a" * 64, "5f0c7f6f-7f0a-4f0d.x_1"])
def test_a_sane_request_id_is_taken_over(shared: Service, given: str) -> None:
    assert shared.http.get("/hello", headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "short", "a" * 65, "with space", "semi;colon", "é" * 10, CANARY])
def test_without_a_sane_request_id_there_is_a_new_one(shared: Service, given: str | None) -> None:
    headers = {} if given is None else {b"X-Request-ID": given.encode()}
    made = shared.http.get("/hello", headers=headers).headers["x-request-id"]
    assert len(made) == 32 and made != given


def test_two_requests_never_share_an_id(shared: Service) -> None:
    assert len({shared.http.get("/hello").headers["x-request-id"] for _ in range(5)}) == 5


def test_each_answer_has_one_request_id(shared: Service) -> None:
    for path in ("/hello", "/nowhere", "/docs", f"{API}/package/0"):
        assert len(shared.http.get(path).headers.get_list("x-request-id")) == 1


@pytest.fixture(scope="module", params=["json", "console"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The format, and all that a server's own process wrote while it was sent secrets in every place. uvicorn's access log is left on."""
    folder, port = tmp_path_factory.mktemp("logged"), free_port()
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.create(tmp_path_factory.getbasetemp())
    settings: Settings = make_settings(folder / "data", database_url=url, jobs_in_web=False, log_format=request.param)
    process = start([sys.executable, "-m", "uvicorn", "example.server:app", "--port", str(port)], settings, folder)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
            deadline = time.monotonic() + 30
            while True:
                try:
                    http.get("/health")
                    break
                except httpx.HTTPError:
                    assert time.monotonic() < deadline and process.poll() is None, (folder / "server.log").read_text()
                    time.sleep(0.05)
            _send_secrets(http)
    finally:
        process.terminate()
        process.wait(20)
    return request.param, (folder / "server.log").read_text()


def _send_secrets(http: httpx.Client) -> None:
    token = expect(http.post(f"{API}/tokens"), 201)["token"]
    mine = {"Authorization": f"Bearer {token}"}
    expect_problem(http.get(f"/{CANARY}"), 404, "not_found")
    expect_problem(http.get(f"{API}/packages/{'x' * 470}/{CANARY}"), 404, "not_found")
    expect_problem(http.get(f"{API}/packages", params={"name": CANARY, "limit": "0"}, headers=mine), 422, "validation_error")
    expect_problem(http.get(f"{API}/packages", headers={"Authorization": f"Bearer {CANARY}"}), 401, "token_invalid")
    expect_problem(http.post(f"{API}/packages", json={"name": CANARY, "version": CANARY}, headers=mine), 422, "validation_error")
    http.get("/hello", headers={"X-Request-ID": CANARY, "User-Agent": CANARY, "Referer": f"http://u:hunter2@h/{CANARY}", "Cookie": CANARY})
    http.get(f"/http://user:hunter2@example.com/{CANARY}")
    http.get("/hello", headers={"X-Request-ID": "find-me-again"})


@pytest.mark.slow
def test_no_secret_is_in_any_line(told: tuple[str, str]) -> None:
    _, text = told
    assert "find-me-again" in text, "the log must be read to its end"
    for start_of_part in (0, 15, 25, 35):
        part = CANARY[7:][start_of_part : start_of_part + 12]
        assert part not in text
    assert "hunter2" not in text


@pytest.mark.slow
def test_each_request_is_one_line_with_what_an_operator_asks(told: tuple[str, str]) -> None:
    log_format, text = told
    [line] = [line for line in text.splitlines() if "find-me-again" in line]
    if log_format == "json":
        written = json.loads(line)
        assert {key: written[key] for key in ("event", "method", "path", "status", "client")} == {
            "event": "request",
            "method": "GET",
            "path": "/hello",
            "status": 200,
            "client": "127.0.0.1",
        }
        assert [json.loads(one) for one in text.splitlines() if one.startswith("{")]
    else:
        assert "GET" in line and "/hello" in line and "200" in line
    assert "?" not in text.replace("%", ""), "no query string is written, uvicorn's access lines included"
