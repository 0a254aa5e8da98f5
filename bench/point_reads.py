"""One authenticated ``GET /api/v1/package/{id}`` after another, on one pinned worker: rate, cost, and what 100 connections do to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.client import Client
from bench.load import Load, load
from bench.plan import Run
from bench.report import Row, Target, alone, compare
from bench.servers import SERVICE, Server, cores, running

NAME = "reads"
NEEDS = ("wrk", "taskset")
FEW, MANY = 16, 100
WARM_UP_SECONDS = 1
FASTAPI_NAME = "FastAPI, no database"
BARE, FASTAPI, OURS = "bare", "fastapi", "service"
WITH_AUDIT_AND_LIMITS = 0.32
"""0.4 (of token and access alone, which the measure ``gate`` takes) over the 1.25 that audit and limits may cost."""
SETTINGS = {"LOG_FORMAT": "json", "DATA_DIR": "data", "RATE_LIMIT_AUTHENTICATED": "1000000000/hour", "RATE_LIMIT_ANONYMOUS": "1000000/hour"}
"""The service as in production: JSON lines, here into a file; jobs in the web process are its default. It counts, and
refuses nobody."""


@contextmanager
def turn(server: Server, others: list[Server]) -> Iterator[None]:
    """Let ``server`` have the core; the others stand still."""
    with ExitStack() as stack:
        for other in others:
            if other is not server:
                stack.enter_context(other.stopped())
        yield


def measure(run: Run) -> Iterator[Row]:
    """The rows of this measure."""
    core, load_core = cores()
    servers = {
        BARE: Server("bench.references:bare", run.folder / BARE, core=core, health="/"),
        FASTAPI: Server("bench.references:fastapi", run.folder / FASTAPI, core=core),
        OURS: Server(SERVICE, run.folder / OURS, SETTINGS, core=core),
    }
    everyone = list(servers.values())
    found: dict[tuple[str, int], list[Load]] = defaultdict(list)
    cpu: dict[str, list[float]] = defaultdict(list)
    with running(*everyone):
        ours = servers[OURS]
        with Client(ours.port) as client:
            token = client.token
            path = f"/api/v1/package/{client.create('hello', '2.1.0')}"
        resident = ours.resident_mb()
        plan = [(name, FEW) for name in servers] + [(FASTAPI, MANY), (OURS, MANY)]
        for round_ in range(run.plan.rounds + 1):  # the first warms up and is not counted
            for name, connections in plan:
                run.progress.say(f"{NAME}: round {round_} of {run.plan.rounds}, {name}, {connections} connections")
                server = servers[name]
                with turn(server, everyone):
                    used = server.cpu_seconds()
                    seconds = run.plan.seconds if round_ else WARM_UP_SECONDS
                    result = load(server.port, [path], token=token, connections=connections, seconds=seconds, core=load_core)
                    used = server.cpu_seconds() - used
                if round_:
                    found[name, connections].append(result)
                    if connections == FEW:
                        cpu[name].append(used / result.requests * 1e6)
        loaded = ours.resident_mb()
    yield from _rows(found, cpu)
    yield alone(NAME, "resident memory after the start", "MB", [resident], Target("value", 150))
    yield alone(NAME, "resident memory after these reads", "MB", [loaded], Target("value", 150))


def _rows(found: dict[tuple[str, int], list[Load]], cpu: dict[str, list[float]]) -> Iterator[Row]:
    rates = {key: [result.rate for result in results] for key, results in found.items()}
    p99 = {key: [result.p99 for result in results] for key, results in found.items()}
    few, many = rates[OURS, FEW], rates[OURS, MANY]
    get = "GET package"
    yield compare(
        NAME,
        f"{get}, {FEW} connections",
        "req/s",
        few,
        rates[FASTAPI, FEW],
        FASTAPI_NAME,
        Target("ratio", WITH_AUDIT_AND_LIMITS, at_least=True),
    )
    yield compare(NAME, f"{get}, {FEW} connections", "req/s", few, rates[BARE, FEW], "bare ASGI app")
    yield compare(NAME, f"{get}, processor time", "µs/req", cpu[OURS], cpu[FASTAPI], FASTAPI_NAME)
    yield compare(NAME, f"{get}, {FEW} connections, p99", "ms", p99[OURS, FEW], p99[FASTAPI, FEW], FASTAPI_NAME)
    yield compare(NAME, f"{get}, {MANY} connections", "req/s", many, few, f"itself, {FEW} connections", Target("ratio", 0.8, at_least=True))
    yield compare(NAME, f"{get}, {MANY} connections", "req/s", many, rates[FASTAPI, MANY], FASTAPI_NAME)
    p50 = {key: [result.p50 for result in results] for key, results in found.items()}
    yield compare(NAME, f"{get}, {MANY} connections, median", "ms", p50[OURS, MANY], p50[FASTAPI, MANY], FASTAPI_NAME)
    # uvloop accepts about one connection a turn of its loop: of 100 at once the last wait for seconds, once, with FastAPI too.
    label = f"{get}, {MANY} connections, p99 with connecting"
    yield compare(NAME, label, "ms", p99[OURS, MANY], p99[FASTAPI, MANY], FASTAPI_NAME)
    errors = [float(result.errors) for connections in (FEW, MANY) for result in found[OURS, connections]]
    yield Row(NAME, f"{get}, errors and time-outs", sum(errors), "", target=Target("value", 0), rounds={"measured": errors})
