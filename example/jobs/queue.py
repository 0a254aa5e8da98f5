"""The queue as the rest of the service sees it: put a job in with the caller's own transaction, cancel it, ask how it stands.

Works in every process, whether it runs jobs or not. Claiming, order, limits, retries and states are DBOS's.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer
from sqlalchemy.orm import Session

from example.db import Database

APPLICATION = "package-master"
APPLICATION_VERSION = "1"
"""Pinned: with DBOS's default, a hash of the code, every deploy would strand the jobs that wait."""
QUEUE = "packages"
PURGED_AT_ONCE = 1000
RUNNING_STATES = frozenset({"PENDING", "ENQUEUED", "DELAYED"})


def migrate(database: Database) -> None:
    """Create or update DBOS's own tables, beside ours in the same database."""
    DBOS.migrate(dbos_url(database))


def dbos_url(database: Database) -> str:
    """The database as DBOS takes it."""
    return database.url.render_as_string(hide_password=False)


class JobQueue:
    """The client side of the engine."""

    def __init__(self, database: Database) -> None:
        self._client = DBOSClient(
            system_database_engine=database.engine,
            serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION,
            lazy=True,
            retry_connection_errors=False,
        )

    def register(self, *, concurrency: int, poll_seconds: float) -> None:
        """Make the queue known before DBOS is launched, which looks for new ones only every second.

        Each process runs ``concurrency`` jobs, and looks every ``poll_seconds`` for those that others have queued.
        """
        self._client.register_queue(QUEUE, worker_concurrency=concurrency, polling_interval_sec=poll_seconds, on_conflict="always_update")

    def enqueue(self, session: Session, workflow: str, task_id: str, *arguments: int) -> None:
        """Queue ``workflow(task_id, *arguments)`` in the caller's transaction: it exists when, and only when, that commits. Ring then."""
        self._client.enqueue_in_transaction(
            session,
            {"workflow_name": workflow, "queue_name": QUEUE, "workflow_id": task_id, "app_version": APPLICATION_VERSION},
            task_id,
            *arguments,
        )

    def cancel(self, task_id: str) -> None:
        """Stop a job: a queued one never starts, a running one's step is cancelled within about a second. No error when it has ended."""
        self._client.cancel_workflow(task_id)

    def ended(self, task_ids: Iterable[str]) -> dict[str, str]:
        """Those of ``task_ids`` that the engine will not run any further, with the engine's state (``MISSING`` where it has none)."""
        wanted = list(task_ids)
        if not wanted:
            return {}
        found = self._client.list_workflows(workflow_ids=wanted, load_input=False, load_output=False)
        states = {workflow.workflow_id: workflow.status for workflow in found}
        return {task_id: state for task_id in wanted if (state := states.get(task_id, "MISSING")) not in RUNNING_STATES}

    def running(self) -> dict[str, str]:
        """The jobs that the engine is running, each with its executor, dead ones included."""
        pending = self._client.list_workflows(status="PENDING", load_input=False, load_output=False)
        return {workflow.workflow_id: workflow.executor_id or "" for workflow in pending}

    def purge(self, before: datetime) -> int:
        """Delete the engine's rows of jobs that ended before ``before``; answers how many."""
        purged = 0
        while ids := self._ended_before(before):
            self._client.delete_workflows(ids)
            purged += len(ids)
        return purged

    def _ended_before(self, before: datetime) -> list[str]:
        ended = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
        old = self._client.list_workflows(
            status=ended, completed_before=before.isoformat(), limit=PURGED_AT_ONCE, load_input=False, load_output=False
        )
        return [workflow.workflow_id for workflow in old]

    def check(self) -> None:
        """Raises:
        Exception: the engine's tables don't answer.
        """
        self._client.list_workflows(limit=1, load_input=False, load_output=False)

    def close(self) -> None:
        """Let go of the engine's tables."""
        self._client.destroy()
