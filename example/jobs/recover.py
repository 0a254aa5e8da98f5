"""Re-queue the jobs of one dead executor: ``python -m example.jobs.recover``, with ``{"url", "executor_id"}`` on standard input.

It takes the dead one's lease (so that only one helper does it), launches DBOS under that id, whose own start-up recovery puts the running
jobs back into their queue with attempts kept, and leaves. It reads no settings: its folder may have others. The address comes by pipe
because a command line shows passwords to everybody.
"""

from __future__ import annotations

import json
import sys
import time

from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer
from sqlalchemy import make_url

from example.jobs.engine import dbos_config
from example.jobs.leases import leases_of
from example.jobs.queue import APPLICATION

PATIENCE_SECONDS = 30.0


def recover(url: str, executor_id: str) -> bool:
    """Re-queue what ``executor_id`` was running; ``False`` when somebody else is doing it, or it is alive after all."""
    leases = leases_of(make_url(url))
    if not leases.take(executor_id):
        return False
    DBOS(config=dbos_config(url, executor_id))
    DBOS.listen_queues([])
    DBOS.launch()
    try:
        return _wait_until_requeued(url, executor_id)
    finally:
        DBOS.destroy()
        leases.release(executor_id)


def _wait_until_requeued(url: str, executor_id: str) -> bool:
    client = DBOSClient(
        system_database_url=url,
        serializer=DBOSPortableJSONSerializer(),
        application_name=APPLICATION,
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while time.monotonic() < deadline:
            if not client.list_workflows(status="PENDING", executor_id=executor_id, load_input=False, load_output=False):
                return True
            time.sleep(0.05)
        return False
    finally:
        client.destroy()


def main() -> None:
    """Read the order from standard input and carry it out."""
    order = json.load(sys.stdin)
    recover(order["url"], order["executor_id"])


if __name__ == "__main__":
    main()
