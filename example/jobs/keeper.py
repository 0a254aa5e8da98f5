"""The keeper: a thread that makes sure that no job is stuck. A failure detector, never a queue.

Every second it looks for executors that have running jobs and whose lease nobody holds; twice in a row means dead, and a short-lived helper
process re-queues their jobs (recover.py). It lets the domains compare their statuses with the engine's, and purges what is old.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from example.config import Settings
from example.db import Database
from example.jobs.leases import Leases
from example.jobs.queue import HURRY_LASTS_SECONDS, JobQueue, dbos_url
from example.models import now

INTERVAL_SECONDS = 1.0
PURGE_EVERY_SECONDS = 3600.0
RECOVERY_TIMEOUT_SECONDS = 60.0
LOST_LEASE_ROUNDS = 5

log = structlog.get_logger("example.jobs")


class Keeper:
    """Watches from ``start`` to ``stop``."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        queue: JobQueue,
        leases: Leases,
        executor_id: str,
        reconcile: Callable[[], None],
    ) -> None:
        self._retention = timedelta(days=settings.job_retention_days)
        self._url = dbos_url(database)
        self._leases, self._queue, self._executor_id = leases, queue, executor_id
        self._database = database
        self._reconcile = reconcile
        self._suspects: set[str] = set()
        self._lost_rounds = 0
        self._next_purge = time.monotonic() + PURGE_EVERY_SECONDS
        self._quiet_since = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="job-keeper", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def alive(self) -> bool:
        """Whether it watches."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the watch."""
        self._stopping.set()
        self._thread.join(timeout=10)

    def _watch(self) -> None:
        while not self._stopping.wait(INTERVAL_SECONDS):
            for duty in (self._keep_lease, self._recover_the_dead, self._reconcile, self._set_pace, self._purge):
                try:
                    duty()
                except Exception as error:  # the next round tries again; a watch that dies helps nobody
                    log.warning("keeper_failed", duty=duty.__name__, error=str(error)[:500])

    def _keep_lease(self) -> None:
        if self._leases.held() or self._leases.take(self._executor_id):
            self._lost_rounds = 0
            return
        self._lost_rounds += 1
        if self._lost_rounds >= LOST_LEASE_ROUNDS:  # others may take our jobs at any moment: two runs of one job are worse than none
            log.error("lease_lost", executor_id=self._executor_id)
            os.kill(os.getpid(), signal.SIGTERM)

    def _recover_the_dead(self) -> None:
        free = {other for other in self._queue.executors() - {self._executor_id} if self._leases.is_free(other)}
        for dead in sorted(free & self._suspects):
            log.warning("recovering_jobs", executor_id=dead)
            subprocess.run(
                [sys.executable, "-m", "example.jobs.recover"],
                input=json.dumps({"url": self._url, "executor_id": dead}),
                text=True,
                timeout=RECOVERY_TIMEOUT_SECONDS,
                check=True,
                cwd=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
            )
        self._suspects = free

    def _set_pace(self) -> None:
        """Nobody has wanted a job for a while: look less often."""
        if not self._queue.idle():
            self._quiet_since = time.monotonic()
        elif time.monotonic() - self._quiet_since > HURRY_LASTS_SECONDS:
            self._quiet_since = time.monotonic()
            self._queue.relax()

    def _purge(self) -> None:
        if time.monotonic() >= self._next_purge:
            self._next_purge = time.monotonic() + PURGE_EVERY_SECONDS
            self._queue.purge(now() - self._retention)
