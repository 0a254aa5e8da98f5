"""The engine's life in one process: take a lease, launch DBOS, register the queue, keep watch, leave.

The workflows themselves are the domains'; they register with DBOS when their module is imported, before the launch.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer

from example.config import Settings
from example.db import Database
from example.jobs import doorbell
from example.jobs.keeper import Keeper
from example.jobs.leases import Leases, leases_of
from example.jobs.queue import APPLICATION, APPLICATION_VERSION, QUEUE, JobQueue, dbos_url


class JobEngine:
    """Runs jobs in this process from ``start`` to ``stop``. DBOS allows one per process."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        queue: JobQueue,
        *,
        reconcile: Callable[[], None],
        purge: Callable[[datetime], object],
    ) -> None:
        self._settings, self._database, self._queue = settings, database, queue
        self.executor_id = uuid.uuid4().hex  # unique: with a shared id a new process would re-run its siblings' running jobs
        self._leases: Leases = leases_of(database.url)
        self._keeper = Keeper(settings, database, queue, self._leases, self.executor_id, reconcile, purge)

    def start(self) -> None:
        """Begin to take jobs."""
        assert self._leases.take(self.executor_id), "a fresh id's lease is free"
        self._queue.register(concurrency=self._settings.job_concurrency, poll_seconds=self._settings.job_poll_seconds)
        doorbell.install(QUEUE)
        DBOS(config=dbos_config(dbos_url(self._database), self.executor_id))
        DBOS.launch()
        self._keeper.start()

    def alive(self) -> bool:
        """Whether this process still holds its lease and watches."""
        return self._keeper.alive() and self._leases.held()

    def stop(self) -> None:
        """Take no more jobs. What runs is killed with its processes and goes on elsewhere, or at the next start."""
        self._keeper.stop()
        DBOS.destroy()
        self._leases.release(self.executor_id)


def dbos_config(url: str, executor_id: str) -> DBOSConfig:
    """DBOS's configuration; the same for a process that runs jobs and for the helper that recovers a dead one's."""
    return DBOSConfig(
        name=APPLICATION,
        system_database_url=url,
        executor_id=executor_id,
        application_version=APPLICATION_VERSION,
        serializer=DBOSPortableJSONSerializer(),
        log_level="ERROR",
        run_migrations=False,
        sys_db_pool_size=8,
    )
