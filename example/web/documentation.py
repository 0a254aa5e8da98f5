"""What every operation tells OpenAPI: an example of its answer, and the problems that it can answer with."""

from __future__ import annotations

from typing import Any

from example.web.errors import Problem

_EXAMPLES: dict[int, tuple[str, str, str]] = {
    400: ("Bad Request", "bad_request", "the body could not be read as JSON (RFC 8259); check it"),
    401: ("Unauthorized", "token_expired", "the token pm_pat_5xKq0Vb1… expired at 2026-02-01 12:00 UTC; create a new one"),
    403: ("Forbidden", "insufficient_scope", "this needs the scope 'packages:publish', which the token pm_pat_5xKq0Vb1… does not have"),
    404: ("Not Found", "not_found", "there is no package 7; list them with GET /api/v1/packages"),
    409: ("Conflict", "invalid_status", "package 7 (hello 2.1.0) is created, so it can't become activated; download it first"),
    413: ("Content Too Large", "content_too_large", "the body is larger than this operation takes; send less"),
    422: ("Unprocessable Content", "validation_error", "name: String should have at least 2 characters (got 'x')"),
    429: ("Too Many Requests", "rate_limited", "more than 5000 requests an hour by alice; try again in 12 seconds"),
    507: ("Insufficient Storage", "storage_full", "the server's disk is full; nothing was changed. Free some space and try again"),
    503: ("Service Unavailable", "service_unavailable", "the database doesn't answer; nothing was changed. Try again"),
}


def answers(
    example: Any, *problems: int, status: int = 200, media_type: str = "application/json", more: dict[str, Any] | None = None
) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of an operation: ``example`` under its own status, and each of ``problems`` as application/problem+json."""
    content = {} if status == 204 else {"content": {media_type: {"example": example}}}
    documented: dict[int | str, dict[str, Any]] = {status: {**content, **(more or {})}}
    for code in sorted({*problems, 503, *([429] if problems else [])}):
        title, name, detail = _EXAMPLES[code]
        shown: dict[str, Any] = {
            "type": "about:blank",
            "title": title,
            "status": code,
            "detail": detail,
            "code": name,
            "request_id": "5f0c7f6f7f0a4f0d",
        }
        if code == 422:
            shown["errors"] = [{"field": "name", "message": "String should have at least 2 characters (got 'x')"}]
        documented[code] = {
            "description": title,
            "model": Problem,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}, "example": shown}},
        }
    return documented


GUARDED = (401, 403, 404)
"""The problems of every operation that needs a scope."""

WITH_BODY = (400, 413, 422)
"""The problems of every operation that reads a body."""
