"""What a running service consists of, handed to every request through ``app.state``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

from anyio import CapacityLimiter
from fastapi import Request
from starlette.types import Scope

from example.audit.writer import AuditWriter
from example.core import Core
from example.db import LoopReader
from example.environments.host import Host
from example.jobs.engine import JobEngine
from example.ratelimit.limiter import Limiter

CHANGES_AT_ONCE = 4
FOLLOWS_AT_ONCE = 2


@dataclass
class Services:
    """The collaborators of one serving process. ``reader`` is there on SQLite only; ``engine`` only where this process runs jobs."""

    core: Core
    host: Host
    engine: JobEngine | None
    reader: LoopReader | None
    threads: CapacityLimiter
    audit: AuditWriter
    limiter: Limiter
    followers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(FOLLOWS_AT_ONCE))
    changes: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(CHANGES_AT_ONCE))
    background: set[asyncio.Task[None]] = field(default_factory=set)


def services_of(scope: Scope) -> Services:
    """The services behind a request's scope."""
    return cast(Services, scope["app"].state.services)


def services(request: Request) -> Services:
    """The services behind a request."""
    return services_of(request.scope)
