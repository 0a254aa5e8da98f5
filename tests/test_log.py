"""Logs: JSON in production, readable in development, and never a secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from example import log
from example.config import Settings
from tests.identity.known import KNOWN

SECRET = KNOWN
REQUEST: dict[str, Any] = {
    "request_id": "a" * 8,
    "method": "GET",
    "path": "/hello",
    "status": 200,
    "ms": 1.0,
    "client": "127.0.0.1",
    "token": None,
}
Lines = Callable[[], list[str]]


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the log takes for standard error: pytest's own is another one during set-up than during the test."""
    stream = io.StringIO()
    monkeypatch.setattr(log, "sys", SimpleNamespace(stderr=stream))
    return stream


@pytest.fixture(params=["json", "console"])
def lines(request: pytest.FixtureRequest, stderr: io.StringIO) -> Iterator[Lines]:
    """Logging as each format sets it up; answers what was written to standard error."""
    log.configure(Settings(_env_file=None, log_format=request.param))
    yield lambda: stderr.getvalue().splitlines()
    structlog.reset_defaults()
    logging.basicConfig(level=logging.WARNING, force=True)


only_json = pytest.mark.parametrize("lines", ["json"], indirect=True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Bearer {SECRET}", "Bearer pm_pat_…"),
        (f"half of one: {SECRET[:30]}", "half of one: pm_pat_…"),
        (SECRET[:15], SECRET[:15]),
        ("postgresql://user:hunter2@host/db", "postgresql://user:…@host/db"),
        ("postgresql://user:hun@ter/2@host/db", "postgresql://user:…@host/db"),
        ("postgresql://host/db?user=u&password=hunter2&x=1", "postgresql://host/db?user=u&password=…&x=1"),
        ("nothing in it", "nothing in it"),
    ],
)
def test_tokens_and_passwords_are_left_out(text: str, shown: str) -> None:
    assert log.redact(text) == shown


def test_an_event_is_one_line_without_its_secrets(lines: Lines) -> None:
    structlog.get_logger("x").warning("failed", url="redis://u:hunter2@h", token=SECRET, number=3)
    [line] = lines()
    assert "hunter2" not in line and SECRET not in line and "failed" in line


def test_the_librarys_own_loggers_hide_secrets_too(lines: Lines) -> None:
    try:
        raise RuntimeError(f"no way to postgresql://u:hunter2@h with {SECRET}")
    except RuntimeError:
        logging.getLogger("dbos").exception("failed with %s", SECRET)
    text = "\n".join(lines())
    assert "hunter2" not in text and SECRET not in text and "no way to" in text


def test_a_request_is_one_line(lines: Lines) -> None:
    log.write_request(**REQUEST)
    [line] = lines()
    assert "/hello" in line


@pytest.mark.parametrize("path", [f"/x/{SECRET}", f"/{'x' * 480}{SECRET}", "/x/http://u:hunter2@h/"])
def test_a_secret_in_a_path_is_not_written(lines: Lines, path: str) -> None:
    log.write_request(**REQUEST | {"path": path})
    text = "\n".join(lines())
    assert "hunter2" not in text and SECRET[15:20] not in text


def test_a_path_cannot_write_lines_or_colours_of_its_own(lines: Lines) -> None:
    log.write_request(**REQUEST | {"path": "/x\n\x1b[2Jfake\x7f\x9b"})
    [line] = lines()
    assert not {"\x1b", "\x7f", "\x9b"} & set(line)


def test_a_long_path_is_cut(lines: Lines) -> None:
    log.write_request(**REQUEST | {"path": "/" + "x" * 10_000})
    assert len(lines()[0]) < 1000


@only_json
def test_json_lines_can_be_read_by_programs(lines: Lines) -> None:
    log.write_request(**REQUEST)
    structlog.get_logger().warning("another", odd=object())
    logging.getLogger("sqlalchemy.pool").warning("a third")
    request, another, third = map(json.loads, lines())
    assert request | {"timestamp": ""} == REQUEST | {"event": "request", "level": "info", "timestamp": ""}
    assert request["timestamp"].endswith("Z")
    assert (another["event"], another["level"], third["event"]) == ("another", "warning", "a third")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_higher_level_leaves_requests_out(log_format: str, stderr: io.StringIO) -> None:
    log.configure(Settings(_env_file=None, log_format=log_format, log_level="WARNING"))
    log.write_request(**REQUEST)
    assert stderr.getvalue() == ""
    structlog.reset_defaults()


def test_production_logs_json_unless_told_otherwise(stderr: io.StringIO) -> None:
    log.configure(Settings(_env_file=None, app_env="production", secret_key="kJ8s-Qm2ZxV0rT5yWc7LbN4dFh1GpUaE9oXi"))
    log.write_request(**REQUEST)
    assert json.loads(stderr.getvalue())["event"] == "request"
    structlog.reset_defaults()


def test_the_servers_own_access_lines_are_off_and_its_other_lines_are_ours(lines: Lines) -> None:
    access, errors = logging.getLogger("uvicorn.access"), logging.getLogger("uvicorn.error")
    access.error("GET /x?token=%s", SECRET)
    errors.error("went wrong with %s", SECRET)
    [line] = lines()
    assert "went wrong" in line and SECRET not in line
