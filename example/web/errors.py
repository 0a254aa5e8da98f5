"""The one map from errors to answers: RFC 9457 problems with a stable ``code``. Internals never reach a client."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from example import errors
from example.db import is_disk_full
from example.log import may_hold_secret, redact

STATUSES: dict[type[errors.PackageMasterError], int] = {
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Invalid: 422,
    errors.RateLimited: 429,
    errors.StorageFull: 507,
    errors.Unavailable: 503,
}
TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""RFC 9110's names, where Python 3.11 still has older ones: codes and titles are the same on every Python."""
REALM = 'Bearer realm="package-master"'
SHOWN_INPUT = 100
SHOWN_ERRORS = 50

log = structlog.get_logger("example.web")


class FieldError(BaseModel):
    """One field that can't be used."""

    field: str = Field(examples=["version"])
    message: str = Field(examples=["version 'latest' is not a version: it starts with a digit, like 2.1.0"])


class Problem(BaseModel):
    """What went wrong (RFC 9457). ``code`` is stable; further members depend on it."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no package 7; list them with GET /api/v1/packages"])
    code: str = Field(examples=["not_found"])
    request_id: str | None = Field(None, examples=["5f0c7f6f7f0a4f0d9a3a0c1f2b3d4e5f"])
    errors: list[FieldError] | None = None


def status_of(error: errors.PackageMasterError) -> int:
    """The status of an error: its class's, or the nearest base's."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def title_of(status: int) -> str:
    """The name of a status."""
    return TITLES.get(status) or HTTPStatus(status).phrase


def problem(request: Request, status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **extra: Any) -> Response:
    """A problem as an answer."""
    shown = redact(detail) if may_hold_secret(detail) else detail
    body = {"type": "about:blank", "title": title_of(status), "status": status, "detail": shown, "code": code}
    body["request_id"] = _request_id(request)
    if (trail := request.scope.get("state", {}).get("trail")) is not None:
        trail.reason = code
    headers = dict(headers or {})
    if status == 401:
        headers["WWW-Authenticate"] = f'{REALM}, error="{code}"' if code != "credentials_missing" else REALM
    return Response(orjson.dumps(body | extra), status, headers, media_type="application/problem+json")


async def on_project_error(request: Request, error: Exception) -> Response:
    """An error of ours."""
    assert isinstance(error, errors.PackageMasterError)
    return problem(request, status_of(error), error.code, error.detail, **error.extra)


async def on_validation_error(request: Request, error: Exception) -> Response:
    """Input that doesn't fit the operation's schema: every field with its value and what is wrong."""
    assert isinstance(error, RequestValidationError)
    told = error.errors()[:SHOWN_ERRORS]
    found = [{"field": _field(one), "message": str(one["msg"]) if _is_secret(request, one) else _message(one)} for one in told]
    detail = "; ".join(f"{one['field']}: {one['message']}" for one in found[:5])
    return problem(request, 422, errors.Invalid.code, detail, errors=found)


async def on_http_error(request: Request, error: Exception) -> Response:
    """The router's own answers: no such path, no such method, a body that is too large."""
    assert isinstance(error, HTTPException)
    code = title_of(error.status_code).lower().replace(" ", "_")
    detail = str(error.detail)
    if error.status_code == 404:
        detail = f"there is nothing at {request.url.path[:SHOWN_INPUT]!r}; the operations are listed at /docs"
    elif error.status_code == 405:
        allowed = _allowed(request.app.routes, request)
        detail = f"{request.method} is not possible at {request.url.path[:SHOWN_INPUT]!r}; possible: {allowed}"
        return problem(request, 405, code, detail, headers={"Allow": allowed})
    elif error.status_code == 413:
        detail = "the body is larger than this operation takes; send less"
    elif error.status_code == 400:
        detail = "the body could not be read as JSON (RFC 8259); check it"
    return problem(request, error.status_code, code, detail, headers=dict(error.headers or {}))


async def on_database_error(request: Request, error: Exception) -> Response:
    """The database refused: full, or not there."""
    assert isinstance(error, DBAPIError | PoolTimeout)
    log.error("database_error", error=str(getattr(error, "orig", error))[:500], request_id=_request_id(request))
    if isinstance(error, DBAPIError) and is_disk_full(error):
        return _disk_full(request)
    if isinstance(error, DBAPIError) and not error.connection_invalidated and not _is_operational(error):
        return await on_unexpected(request, error)
    return problem(
        request, 503, errors.Unavailable.code, "the database doesn't answer; nothing was changed. Try again", headers={"Retry-After": "5"}
    )


async def on_unexpected(request: Request, error: Exception) -> Response:
    """A fault of ours: the log has it, the client its request id."""
    log.error("unexpected_error", exc_info=error, request_id=_request_id(request))
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _disk_full(request)
    return problem(request, 500, "internal_error", "the server made a mistake; its log has the details under this request_id")


def install(app: FastAPI) -> None:
    """Answer every error as a problem. What none of these handles reaches ``RequestLog``, which calls ``on_unexpected``."""
    app.add_exception_handler(errors.PackageMasterError, on_project_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(DBAPIError, on_database_error)
    app.add_exception_handler(PoolTimeout, on_database_error)


def _disk_full(request: Request) -> Response:
    detail = "the server's disk is full; nothing was changed. Free some space and try again"
    return problem(request, 507, errors.StorageFull.code, detail)


def _request_id(request: Request) -> str | None:
    given: str | None = request.scope.get("state", {}).get("request_id")
    return given


def _allowed(routes: Iterable[BaseRoute], request: Request) -> str:
    """The methods of this path: each operation is a route of its own, and the router names only the first one's."""
    fitting = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    methods = {method for route in fitting for method in getattr(route, "methods", None) or ()}
    if not methods or "GET" in methods:  # none: mounted static files
        methods |= {"GET", "HEAD"}
    return ", ".join(sorted(methods))


def _is_operational(error: DBAPIError) -> bool:
    return type(error).__name__ in ("OperationalError", "InterfaceError")


def _is_secret(request: Request, one: dict[str, Any]) -> bool:
    """Whether it is about a body that holds secrets (pydantic's ``hide_input_in_errors``): then nothing of it is repeated, whatever field
    somebody typed their password into.
    """
    if one["loc"][:1] != ("body",) or one["type"] == "json_invalid" or isinstance(one.get("input"), bytes):
        return False
    body = getattr(request.scope.get("route"), "body_field", None)
    config = getattr(body.field_info.annotation, "model_config", {}) if body is not None else {}
    return bool(config.get("hide_input_in_errors"))


def _field(one: dict[str, Any]) -> str:
    place = [str(part) for part in one["loc"] if part not in ("body", "query", "path")] if one["type"] != "json_invalid" else []
    return _plain(".".join(place) or str(one["loc"][0]))


def _message(one: dict[str, Any]) -> str:
    value, says = one.get("input"), str(one["msg"])
    if one["type"] == "json_invalid":
        return f"not JSON: {one['ctx']['error']} at character {one['loc'][-1]}"
    if isinstance(value, bytes):  # FastAPI leaves a body of another type unread
        return "the body is JSON: send it with Content-Type: application/json"
    if value is None or isinstance(value, dict | list) or one["type"] == "missing":
        return says
    return f"{says} (got {_plain(repr(value))})"


def _plain(text: str) -> str:
    """Short, without tokens, and without the lone surrogates that JSON may escape and UTF-8 can't write."""
    text = redact(text) if may_hold_secret(text) else text
    return (text if len(text) <= SHOWN_INPUT else text[:SHOWN_INPUT] + "…").encode(errors="backslashreplace").decode()
