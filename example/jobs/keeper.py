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
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from example.config import Settings
from example.db import Database
from example.jobs.leases import Leases
from example.jobs.queue import JobQueue, dbos_url
from example.models import now

SOURCE_ROOT = Path(__file__).resolve().parents[2]

INTERVAL_SECONDS = 1.0
FIRST_PURGE_SECONDS = 60.0
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
        purge: Callable[[datetime], object],
    ) -> None:
        self._retention = timedelta(days=settings.job_retention_days)
        self._url = dbos_url(database)
        self._leases, self._queue, self._executor_id = leases, queue, executor_id
        self._reconcile, self._purge_jobs = reconcile, purge
        self._suspects: set[str] = set()
        self._lost_rounds = 0
        self._next_purge = time.monotonic() + FIRST_PURGE_SECONDS
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
            for duty in (self._keep_lease, self._recover_the_dead, self._compare, self._purge):
                _attempt(duty.__name__, duty)

    def _keep_lease(self) -> None:
        if self._leases.held() or self._leases.take(self._executor_id):
            self._lost_rounds = 0
            return
        self._lost_rounds += 1
        if self._lost_rounds >= LOST_LEASE_ROUNDS:  # others may take our jobs at any moment: two runs of one job are worse than none
            log.error("lease_lost", executor_id=self._executor_id)
            os.kill(os.getpid(), signal.SIGTERM)

    def _recover_the_dead(self) -> None:
        others = set(self._queue.running().values()) - {self._executor_id}
        free = {other for other in others if self._leases.is_free(other)}
        dead, self._suspects = free & self._suspects, free
        for executor_id in sorted(dead):
            _attempt("_recover", partial(self._recover, executor_id))

    def _recover(self, executor_id: str) -> None:
        log.warning("recovering_jobs", executor_id=executor_id)
        subprocess.run(
            [sys.executable, "-m", "example.jobs.recover"],
            input=json.dumps({"url": self._url, "executor_id": executor_id}),
            text=True,
            timeout=RECOVERY_TIMEOUT_SECONDS,
            check=True,
            cwd=SOURCE_ROOT,
        )

    def _compare(self) -> None:
        self._reconcile()

    def _purge(self) -> None:
        if time.monotonic() >= self._next_purge:
            self._next_purge = time.monotonic() + PURGE_EVERY_SECONDS
            self._queue.purge(now() - self._retention)
            self._purge_jobs(now() - self._retention)
            self._leases.sweep()


def _attempt(name: str, duty: Callable[[], None]) -> None:
    """Do a duty; when it fails, say so and let the next round try again: a watch that dies helps nobody."""
    try:
        duty()
    except Exception as error:
        log.warning("keeper_failed", duty=name.strip("_"), error=str(error)[:500])
