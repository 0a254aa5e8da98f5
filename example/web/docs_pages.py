"""Swagger UI and ReDoc from our own server: they render with no internet, under a policy that lets nothing else load."""

from __future__ import annotations

from pathlib import Path

import fastapi_offline
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

ASSETS = "/docs-assets"
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self' 'unsafe-inline'",  # FastAPI's pages start their viewer with one inline script
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


def _guarded(page: HTMLResponse) -> Response:
    page.headers["Content-Security-Policy"] = _POLICY
    page.headers["X-Content-Type-Options"] = "nosniff"
    return page
