"""The OpenAPI document: what FastAPI collects, and how to authenticate."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

DESCRIPTION = """
Publish, fetch and build, and activate packages. Errors are `application/problem+json` (RFC 9457) with a stable `code`.

**First steps** on the server's own machine, in development: `curl -X POST http://127.0.0.1:8000/api/v1/tokens`, then press *Authorize*
and paste
the token.
"""
SECURITY_SCHEMES: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "pm_pat_…", "description": "A personal access token"},
}


def install(app: FastAPI) -> None:
    """Complete the document that the app serves: FastAPI has no other place for a security scheme that is no dependency."""
    collect = app.openapi

    def complete() -> dict[str, Any]:
        document = collect()
        document.setdefault("components", {})["securitySchemes"] = SECURITY_SCHEMES
        return document

    app.openapi = complete  # type: ignore[method-assign]  # FastAPI's documented way of extending it
