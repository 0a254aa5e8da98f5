"""What the service is compared with: a bare ASGI app, and a FastAPI route that answers a package's shape without a database.

uvicorn serves both: ``bench.references:bare``, ``bench.references:fastapi``.
"""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

PACKAGE: dict[str, Any] = {
    "id": 1,
    "name": "hello",
    "version": "2.1.0",
    "source": "nix",
    "status": "downloaded",
    "created_at": "2026-11-21T12:00:00.123456Z",
    "downloaded_at": "2026-11-21T12:00:02.123456Z",
    "activated_at": None,
    "size": 1184,
    "artifact": "/nix/store/3i9bqf2n0qj4bsf1a3n9v2d1wq5k0c7x-hello-2.1.0",
    "pin": "demo",
    "error": None,
    "task_id": "3f1e9a52-6f0e-4f0e-9a52-3f1e9a526f0e",
    "environments": [],
}
_BODY = orjson.dumps(PACKAGE)
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())]


async def bare(scope: Scope, _receive: Receive, send: Send) -> None:
    """The floor: the same bytes to everybody."""
    if scope["type"] != "http":
        return  # uvicorn goes on without a lifespan
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})


fastapi = FastAPI()


@fastapi.get("/health", response_model=None)
async def health() -> dict[str, str]:
    return {"status": "ok"}


@fastapi.get("/api/v1/package/{package_id}", response_model=None)
async def show_package(package_id: int) -> dict[str, Any]:
    return PACKAGE | {"id": package_id}
