"""The doorbell: wakes this process's look for jobs, which otherwise sleeps between two polls.

DBOS finds jobs by polling, and a look costs milliseconds of processor time: often enough for a quick answer would be a fifth of what point
reads get. So it polls slowly, for the jobs that other processes queue, and whoever queues or ends one here rings. DBOS has no call for it:
this wraps the function that its queue thread runs. Were that function to change, jobs would begin a poll later, and a test would fail.
"""

from __future__ import annotations

import threading
import time
from typing import Any, cast

from dbos import _queue

STOP_NOTICED_SECONDS = 0.5

_look_for_jobs = _queue.queue_worker_thread
_rung = threading.Event()


class _StopOrRing:
    """Stands in for DBOS's stop event: a wait ends at a ring too."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def is_set(self) -> bool:
        return self._stop.is_set()

    def wait(self, timeout: float) -> bool:
        until = time.monotonic() + timeout
        while not self._stop.is_set() and (left := until - time.monotonic()) > 0:
            if _rung.wait(min(left, STOP_NOTICED_SECONDS)):
                break
        _rung.clear()
        return self._stop.is_set()


def ring() -> None:
    """Look for jobs now. Costs nothing where this process runs none."""
    _rung.set()


def install(queue_name: str) -> None:
    """Let DBOS's thread of this queue hear the bell; call it before the launch."""

    def look(stop: Any, dbos: Any, queue: Any) -> None:
        _look_for_jobs(cast(threading.Event, _StopOrRing(stop)) if queue.name == queue_name else stop, dbos, queue)

    _queue.queue_worker_thread = look  # type: ignore[assignment]
