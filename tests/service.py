"""The service under test, as its users meet it: over HTTP, with tokens; in this process, or as a server of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr

from example.app import create_app
from example.config import Settings
from example.web.services import Services

API = "/api/v1"
UNWANTED: set[str] = set()
"""More variables that processes of tests don't get."""
ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Service:
    """A running service and a client of it. ``http`` sends ``token`` with every request."""

    http: httpx.Client
    token: str
    settings: Settings
    services: Services | None = None

    def anonymous(self) -> dict[str, str]:
        """Headers that take the token away from one request: send them as ``headers``."""
        return {"Authorization": ""}

    def get(self, path: str, **options: Any) -> httpx.Response:
        """GET below ``/api/v1``."""
        return self.http.get(API + path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """POST below ``/api/v1``."""
        return self.http.post(API + path, json=body, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        """DELETE below ``/api/v1``."""
        return self.http.delete(API + path, **options)

    def new_token(self, **wanted: Any) -> dict[str, Any]:
        """Another token, as the API answers it."""
        return dict(expect(self.post("/tokens", wanted), 201))

    def with_token(self, token: str) -> dict[str, str]:
        """Headers that send another token."""
        return {"Authorization": f"Bearer {token}"}

    def create(self, name: str = "hello", version: str = "2.1.0") -> int:
        """A new package's id."""
        return int(expect(self.post("/packages", {"name": name, "version": version}), 201)["id"])

    def package(self, package_id: int) -> dict[str, Any]:
        """A package as it is now."""
        return dict(expect(self.get(f"/package/{package_id}"), 200))

    def download(self, package_id: int, seconds: float = 30) -> dict[str, Any]:
        """Download a package and wait until it is no longer ``downloading``."""
        answer = self.post(f"/package/{package_id}/download")
        assert answer.status_code in (200, 202), answer.text
        return self.until(package_id, seconds)

    def until(self, package_id: int, seconds: float = 30) -> dict[str, Any]:
        """Wait until the package is no longer ``downloading``."""
        deadline = time.monotonic() + seconds
        while (package := self.package(package_id))["status"] == "downloading":
            assert time.monotonic() < deadline, f"still downloading after {seconds} s: {package}"
            time.sleep(0.02)
        return package

    def ready(self, name: str = "hello", version: str = "2.1.0") -> int:
        """A new package, downloaded."""
        package_id = self.create(name, version)
        package = self.download(package_id)
        assert package["status"] == "downloaded", package["error"]
        return package_id


def expect(answer: httpx.Response, status: int) -> Any:
    """The answer's JSON; its status must be ``status``."""
    assert answer.status_code == status, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return answer.json()


def expect_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer must be this problem (RFC 9457); answers its members."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = expect(answer, status)
    assert problem["code"] == code, problem
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]
    return problem


def in_process(settings: Settings) -> Iterator[Service]:
    """The real app, served by uvicorn from a thread of the tests: coverage sees it, and tests may look into ``services``."""
    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, name="service")
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the service did not start; its log says why"
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            token = expect(http.post(f"{API}/tokens"), 201)["token"]
            http.headers["Authorization"] = f"Bearer {token}"
            yield Service(http, token, settings, app.state.services)
    finally:
        server.should_exit = True
        thread.join()


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment variables that make another process read these settings."""
    env = {name: value for name, value in os.environ.items() if name not in ("DATA_DIR", "DATABASE_URL", "SECRET_KEY", *UNWANTED)}
    for name, value in settings.model_dump(exclude_none=True).items():
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        env[name.upper()] = json.dumps(text) if isinstance(text, bool) else str(text)
    return env | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@dataclass
class Server:
    """A server process (or several workers), started, killed and started again."""

    settings: Settings
    folder: Path
    workers: int = 1
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 30) -> Service:
        """Start it and wait until it answers."""
        app = ["uvicorn", "example.server:app", "--no-access-log", "--timeout-graceful-shutdown", "5"]
        argv = [sys.executable, "-m", *app, "--port", str(self.port), "--workers", str(self.workers)]
        self.process = start(argv, self.settings, self.folder)
        http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)
        deadline = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None, (self.folder / "server.log").read_text()[-3000:]
            try:
                http.get("/health").raise_for_status()
                break
            except httpx.HTTPError:
                assert time.monotonic() < deadline, "the server doesn't answer"
                time.sleep(0.05)
        token_file = self.folder / "token"
        if not token_file.exists():
            token_file.write_text(expect(http.post(f"{API}/tokens"), 201)["token"])
        http.headers["Authorization"] = f"Bearer {token_file.read_text()}"
        return Service(http, token_file.read_text(), self.settings)

    def kill(self) -> None:
        """kill -9, the workers included."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Ask it to end, as systemd does."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


def start(argv: list[str], settings: Settings, folder: Path) -> subprocess.Popen[bytes]:
    """A process of the service's, in a group of its own; what it says goes to ``folder/server.log``."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "server.log", "ab") as log:
        return subprocess.Popen(argv, cwd=folder, env=environment_of(settings), stdout=log, stderr=log, start_new_session=True)


@contextmanager
def serving(settings: Settings, folder: Path, workers: int = 1) -> Iterator[tuple[Server, Service]]:
    """A server of its own for one test."""
    server = Server(settings, folder, workers)
    try:
        yield server, server.start()
    finally:
        server.stop()
