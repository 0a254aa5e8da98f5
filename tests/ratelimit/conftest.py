"""A clock that stands still, databases, and Redis servers of the tests' own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from example.config import Settings
from example.db import Database
from tests.service import free_port

REDIS_SERVER = shutil.which("redis-server")


class Clock:
    """Seconds since 1970; a test moves them. Begins a quarter of an hour into a window of an hour."""

    def __init__(self, moment: float = 1_800_000_900.0) -> None:
        self.moment = moment

    def __call__(self) -> float:
        return self.moment

    def go_on(self, seconds: float) -> None:
        self.moment += seconds


class Log:
    """What was logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, event: str, **_fields: object) -> None:
        self.lines.append(event)

    info = warning


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = Database(settings)
    yield opened
    opened.close()


class RedisServer:
    """A Redis on a port of its own, started, stopped in its tracks, killed and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._argv = [str(REDIS_SERVER), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                redis.Redis.from_url(self.url).ping()
                return
            except redis.AuthenticationError:
                return
            except redis.RedisError:
                assert time.monotonic() < deadline, "redis-server doesn't answer"
                time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    if REDIS_SERVER is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


def limited(settings: Settings, **values: Any) -> Settings:
    """``settings`` with 3 hits an hour for everybody, unless ``values`` say otherwise."""
    low = {f"rate_limit_{name}": "3/hour" for name in ("anonymous", "authenticated", "search", "login", "pat")}
    return settings.model_copy(update=low | values)
