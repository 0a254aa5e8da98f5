"""The application: settings in, an ASGI app out, with everything it needs opened at the start and closed at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import CapacityLimiter
from fastapi import FastAPI

from example import __version__, log
from example.audit.writer import AuditWriter
from example.config import Settings
from example.core import open_core
from example.db import LoopReader
from example.environments.host import Host
from example.lifecycle.reconciling import reconcile_all
from example.nix.runtime import NixRuntime
from example.ratelimit.limiter import Limiter
from example.web import docs_pages, errors, openapi
from example.web.api import audit, auth, environments, invitations, jobs, packages, system, tokens, users, workspaces
from example.web.audit_trail import AuditTrail
from example.web.gate import TokenGate
from example.web.head import HeadAsGet
from example.web.plain_start import PlainStart
from example.web.proxies import TrustedProxies
from example.web.request_log import RequestLog
from example.web.services import Services


def create_app(settings: Settings) -> FastAPI:
    """The service for these settings. Nothing is opened before its lifespan begins."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        log.configure(settings)
        services = await asyncio.to_thread(open_services, settings)
        app.state.services = services
        await services.limiter.start()
        try:
            yield
        finally:
            await asyncio.gather(*services.background, return_exceptions=True)
            await services.limiter.stop()
            await services.audit.drain()
            await asyncio.to_thread(close_services, services)

    app = FastAPI(
        title="Package Master",
        version=__version__,
        description=openapi.DESCRIPTION,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for part in (packages, jobs, environments, tokens, auth, users, invitations, workspaces, audit, system):
        app.router.routes += part.routes.routes  # not include_router: it matches every request twice, a tenth of a point read
    docs_pages.install(app)
    openapi.install(app)
    errors.install(app)
    app.add_middleware(TokenGate)
    app.add_middleware(AuditTrail)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestLog)
    app.add_middleware(TrustedProxies, networks=settings.trusted_networks)
    app.add_middleware(PlainStart)
    return app


def open_services(settings: Settings) -> Services:
    """Open everything, record what a kill may have left unsaid about environments, and begin to take jobs.

    Raises:
        example.errors.SchemaMismatch: another release's database, or another SECRET_KEY's.
    """
    core = open_core(settings)
    runtime = NixRuntime.prepare(settings)
    host = Host(runtime, runtime.environments)
    reconcile_all(core.database, host)
    engine = core.start_jobs() if settings.jobs_in_web else None
    reader = LoopReader(core.database) if core.database.point_reads_in_loop else None
    audit = AuditWriter(core.database, core.keys.audit[0])
    return Services(core, host, engine, reader, CapacityLimiter(settings.threads), audit, Limiter(settings, core.database))


def close_services(services: Services) -> None:
    """Take no more jobs and close everything."""
    if services.engine is not None:
        services.engine.stop()
    if services.reader is not None:
        services.reader.close()
    services.core.close()
