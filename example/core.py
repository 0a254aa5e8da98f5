"""What every process of the service opens first, whether it serves, runs jobs, or both: the database, the key, the sources, the queue."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from example.audit import pruning
from example.audit.chain import AuditBroken
from example.audit.verify import reseal
from example.config import Settings
from example.db import Database
from example.environments.host import Host
from example.errors import SchemaMismatch
from example.identity import sessions
from example.identity.keys import Keys, check_keys, load_keys
from example.jobs.engine import JobEngine
from example.jobs.queue import JobQueue, migrate
from example.lifecycle import builds, jobs, reconciling
from example.log import redact
from example.models import initialize, now
from example.nix.runtime import NixMissing, NixRuntime
from example.nix.store import StoreError
from example.sources import Source, make_sources

log = structlog.get_logger("example.core")


@dataclass(frozen=True)
class Core:
    """The collaborators that serving and working share."""

    settings: Settings
    database: Database
    keys: Keys
    sources: Mapping[str, Source]
    queue: JobQueue

    def start_jobs(self) -> JobEngine:
        """Begin to take jobs in this process."""
        builds.set_up(builds.Workbench(self.database, self.sources, self.settings.data_dir / "locks", self.settings.nix_log_limit))
        with suppress(OSError):  # a sweep, and nothing that jobs wait for
            NixRuntime.of(self.settings).sweep()
        engine = JobEngine(
            self.settings,
            self.database,
            self.queue,
            reconcile=lambda: builds.reconcile(self.database, self.queue),
            purge=self._purge,
        )
        engine.start()
        return engine

    def _purge(self, before: datetime) -> None:
        """What the keeper does once an hour: jobs that ended before ``before``, audit entries past their time, profiles that nobody has."""
        jobs.purge(self.database, before)
        self.database.transact(lambda session: sessions.purge(session, before))
        runtime = NixRuntime.of(self.settings)
        reconciling.sweep(self.database, Host(runtime, runtime.environments))
        try:
            pruning.prune(self.database, self.keys.audit, now() - timedelta(days=self.settings.audit_retention_days))
        except AuditBroken as broken:  # nothing is deleted: it is evidence
            log.error("audit_broken", why=broken.detail)

    def close(self) -> None:
        """Let go of the database."""
        self.queue.close()
        self.database.close()


def open_core(settings: Settings, *, drop_all: bool = False) -> Core:
    """Bring the schema up to date (``drop_all``: reset it) and check that SECRET_KEY is this database's.

    Raises:
        example.errors.SchemaMismatch: another release's database, or another key's.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    initialize(settings, drop_all=drop_all)
    database = Database(settings)
    try:
        migrate(database)
        keys = load_keys(settings)
        database.transact(lambda session: _check(session, keys))
        return Core(settings, database, keys, make_sources(settings), JobQueue(database))
    except BaseException:
        database.close()
        raise


def _check(session: Session, keys: Keys) -> None:
    check_keys(session, keys)
    reseal(session, keys.audit)


def refusal(error: BaseException) -> str | None:
    """Why a process can't start, in one line, when an operator can mend it; ``None`` for a fault of ours, which deserves its traceback."""
    if isinstance(error, DBAPIError):
        said = str(error.orig).strip().partition("\n")[0]
        return f"the database can't be used: {redact(said)}; check DATABASE_URL or DB_PATH"
    if isinstance(error, SchemaMismatch | NixMissing | StoreError | OSError | ValueError):
        return redact(str(error))
    return None
