"""``example-worker``: runs jobs without serving. As many as wanted, on any host that reaches the database."""

from __future__ import annotations

import signal
import sys
import threading

from example import log
from example.cli.starting import explained, settings_or_exit
from example.config import Settings
from example.core import open_core


def run(settings: Settings, stopping: threading.Event) -> None:
    """Take jobs until ``stopping`` is set."""
    core = open_core(settings)
    engine = core.start_jobs()
    try:
        stopping.wait()
    finally:
        engine.stop()
        core.close()


def main() -> None:
    """The console script."""
    settings = settings_or_exit()
    log.configure(settings)
    stopping = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopping.set())
    print("example-worker: taking jobs; stop with Ctrl-C", file=sys.stderr, flush=True)
    with explained("example-worker"):
        run(settings, stopping)


if __name__ == "__main__":
    main()
