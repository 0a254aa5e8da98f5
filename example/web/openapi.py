"""The OpenAPI document: what FastAPI collects, and how to authenticate."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from starlette.routing import Route

from example.identity.roles import ACCOUNT_FAMILIES
from example.identity.scopes import Scope, family

WORKSPACE: dict[str, Any] = {
    "name": "X-Workspace",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "maxLength": 63},
    "description": "The workspace to act in; without it the token's own, with a session `default`. `?workspace=` does the same.",
    "example": "default",
}
DESCRIPTION = """
Publish, fetch and build, and activate packages. Errors are `application/problem+json` (RFC 9457) with a stable `code`.

**First steps** on the server's own machine, in development: `curl -X POST http://127.0.0.1:8000/api/v1/tokens`, then press *Authorize*
and paste the token.
"""
SECURITY_SCHEMES: dict[str, Any] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "pm_pat_…",
        "description": "A personal access token, or the `token` that POST /api/v1/auth/login answers",
    },
}


def install(app: FastAPI) -> None:
    """Complete the document that the app collects, where FastAPI has no other place for it, and serve it at ``/openapi.json``."""
    collect = app.openapi

    @cache
    def complete() -> dict[str, Any]:
        document = collect()
        document.setdefault("components", {})["securitySchemes"] = SECURITY_SCHEMES
        for operation in _operations(document):
            if _is_of_a_workspace(operation):
                operation.setdefault("parameters", []).append(WORKSPACE)
        return document

    @cache
    def written(root: str) -> bytes:  # once: it is large, and anybody may ask for it
        return orjson.dumps(complete() | ({"servers": [{"url": root}]} if root else {}))

    async def serve(request: Request) -> Response:
        return Response(written(request.scope.get("root_path", "")), media_type="application/json")

    app.openapi = complete  # type: ignore[method-assign]  # FastAPI's documented way of extending it
    app.router.routes.append(Route("/openapi.json", serve, include_in_schema=False))


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def _is_of_a_workspace(operation: dict[str, Any]) -> bool:
    scope = operation.get("x-required-scope")
    return scope is not None and family(Scope(scope)) not in ACCOUNT_FAMILIES
