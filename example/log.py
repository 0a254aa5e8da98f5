"""Structured logs on standard error: JSON lines in production, readable ones in development. No secret ever passes."""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from example.config import Settings

_TOKEN = re.compile(r"(pm_(?:pat|ref|inv)_)[0-9A-Za-z]{9,}")  # parts of one too; the prefix that lists show has 8
# Bounded, so that a hostile text takes no longer than its length.
_JWT = re.compile(r"(?<![0-9A-Za-z_-])eyJ[0-9A-Za-z_-]{8,1024}\.[0-9A-Za-z_.-]+")  # a session's access token
_URL_PASSWORD = re.compile(r"(://[^:/@\s]{0,100}:)\S{1,1000}@|(\bpassword=)[^&\s]+")
LONGEST_PATH = 500
LONGEST_REDACTED = 4096


def redact(text: str) -> str:
    """``text`` without tokens and passwords in addresses; at most its first 4,096 characters, or a secret that is cut would pass."""
    text = text[:LONGEST_REDACTED]
    text = _JWT.sub("eyJ…", _TOKEN.sub(r"\1…", text))
    return _URL_PASSWORD.sub(lambda found: f"{found[1]}…@" if found[1] else f"{found[2]}…", text)


def _redact_event(_logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for key, value in event.items():
        if isinstance(value, str) and may_hold_secret(value):
            event[key] = redact(value)
    return event


def may_hold_secret(text: str) -> bool:
    """Whether ``redact`` may find something: most texts need no look."""
    return "pm_" in text or "eyJ" in text or "://" in text or "password=" in text


def write_request(**fields: Any) -> None:
    """The line of one request. As JSON it skips structlog's pipeline, which costs a tenth of a point read; otherwise it is an event like
    any other.
    """
    path: str = fields["path"]
    if may_hold_secret(path):
        path = redact(path)
    if not path.isprintable():  # what a terminal would obey
        path = path.encode("unicode_escape").decode()
    fields["path"] = path[:LONGEST_PATH]
    if _requests.as_json:
        moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        sys.stderr.write(_dumps({"event": "request", "level": "info", "timestamp": moment, **fields}) + "\n")
    else:
        structlog.get_logger("example.request").info("request", **fields)


class _Requests:
    """How lines of requests are written in this process."""

    as_json = False


_requests = _Requests()


def configure(settings: Settings) -> None:
    """Set up logging for this process, the standard library's included (uvicorn, SQLAlchemy, Alembic, DBOS)."""
    as_json = (settings.log_format or ("json" if settings.production else "console")) == "json"
    level = logging.DEBUG if settings.debug else logging.getLevelNamesMapping()[settings.log_level]
    _requests.as_json = as_json and level <= logging.INFO
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact_event,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(serializer=_dumps) if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    own: dict[str, list[logging.Handler]] = {"uvicorn": [handler], "uvicorn.error": [], "uvicorn.access": [], "dbos": [handler]}
    for name, handlers in own.items():  # they write past the root: access lines with query strings, and DBOS unless it finds a handler
        logger = logging.getLogger(name)
        logger.handlers[:] = handlers
        logger.propagate = name == "uvicorn.error"


def _dumps(event: Any, **_options: Any) -> str:
    return orjson.dumps(event, default=str).decode()
