"""From the start of the process to its first answered request, on a fresh data directory and on an existing one, and the memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from bench.plan import Run
from bench.point_reads import SETTINGS
from bench.report import Row, Target, alone, compare
from bench.servers import SERVICE, Server

NAME = "start"
NEEDS = ()
LONGEST = Target("value", 2.5)


def measure(run: Run) -> Iterator[Row]:
    """The rows of this measure."""
    seconds: dict[str, list[float]] = defaultdict(list)
    resident: list[float] = []
    for round_ in range(1, run.plan.rounds + 1):
        fresh = run.folder / f"start-{round_}"
        turns = {
            "bare ASGI app": Server("bench.references:bare", run.folder / "bare", health="/"),
            "FastAPI app": Server("bench.references:fastapi", run.folder / "fastapi"),
            "fresh": Server(SERVICE, fresh, SETTINGS),
            "existing": Server(SERVICE, fresh, SETTINGS),
        }
        for name, server in turns.items():
            run.progress.say(f"{NAME}: round {round_} of {run.plan.rounds}, {name}")
            try:
                seconds[name].append(server.start())
                if name == "existing":
                    resident.append(server.resident_mb())
            finally:
                server.stop()
    for name, label in (("fresh", "start to first answer, fresh data directory"), ("existing", "start to first answer, existing one")):
        yield compare(NAME, label, "s", seconds[name], seconds["FastAPI app"], "FastAPI app", LONGEST)
    yield compare(NAME, "start of the FastAPI app", "s", seconds["FastAPI app"], seconds["bare ASGI app"], "bare ASGI app")
    yield alone(NAME, "resident memory after the start", "MB", resident, Target("value", 150))
