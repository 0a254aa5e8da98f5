"""Swagger UI and ReDoc from our own server: they render with no internet, under a policy that lets nothing else load."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

ASSETS = "/docs-assets"
_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self' {scripts}",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src blob:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)


def install(app: FastAPI) -> None:
    """Serve ``/docs``, ``/redoc`` and their assets. Public, as ``/openapi.json`` is."""
    assets = Path(fastapi_offline.__file__).parent / "static"
    app.router.routes += [
        Mount(ASSETS, StaticFiles(directory=assets)),
        Route("/docs", swagger_ui, include_in_schema=False),
        Route("/redoc", redoc, include_in_schema=False),
    ]


async def swagger_ui(request: Request) -> Response:
    """The operations, to read and to try."""
    root = request.scope.get("root_path", "")
    page = get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="Package Master: API",
        swagger_js_url=f"{root}{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{root}{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{root}{ASSETS}/favicon.png",
        swagger_ui_parameters={"persistAuthorization": True, "validatorUrl": None},
    )
    return _guarded(page)


async def redoc(request: Request) -> Response:
    """The operations, to read."""
    root = request.scope.get("root_path", "")
    page = get_redoc_html(
        openapi_url=f"{root}/openapi.json",
        title="Package Master: API",
        redoc_js_url=f"{root}{ASSETS}/redoc.standalone.js",
        redoc_favicon_url=f"{root}{ASSETS}/favicon.png",
        with_google_fonts=False,
    )
    return _guarded(page)


def _fingerprint(script: bytes) -> str:
    """How the policy names the one inline script with which FastAPI's pages start their viewer (W3C CSP 3, hash-source)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"


def _guarded(page: HTMLResponse) -> Response:
    page.headers["Content-Security-Policy"] = _POLICY.format(scripts=" ".join(map(_fingerprint, _INLINE.findall(bytes(page.body)))))
    page.headers["X-Content-Type-Options"] = "nosniff"
    return page
