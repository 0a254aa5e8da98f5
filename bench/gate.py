"""What the whole gate costs: an authenticated read with audit and rate limits against the same without, and beside log-ins."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from bench.client import Client
from bench.load import Load, load
from bench.plan import Run
from bench.point_reads import SETTINGS, WARM_UP_SECONDS, turn
from bench.report import Row, Target, alone, compare
from bench.servers import SERVICE, Server, cores, running
from example.audit.verify import verify
from example.config import Settings
from example.db import Database
from example.identity.keys import load_keys

NAME = "gate"
NEEDS = ("wrk", "taskset")
CONNECTIONS = 16
LOGINS = 20
PASSWORD = "a long enough pass phrase 7"
GATED, PLAIN, FASTAPI = "service", "without", "fastapi"
SETTLED_SECONDS = 2.0


def measure(run: Run) -> Iterator[Row]:
    """The rows of this measure."""
    core, load_core = cores()
    settings = SETTINGS | {"DATA_DIR": str(run.folder / "data"), "RATE_LIMIT_LOGIN": "100000/hour"}
    servers = {
        GATED: Server(SERVICE, run.folder / GATED, settings, core=core),
        PLAIN: Server("bench.ungated:app", run.folder / PLAIN, settings | {"JOBS_IN_WEB": "false"}, core=core),
        FASTAPI: Server("bench.references:fastapi", run.folder / FASTAPI, core=core),
    }
    found: dict[str, list[Load]] = {name: [] for name in servers}
    cpu: dict[str, list[float]] = {name: [] for name in servers}
    kept: list[float] = []
    everyone = list(servers.values())
    with running(*everyone), Client(servers[GATED].port) as client:
        path = f"/api/v1/package/{client.create('hello', '2.1.0')}"
        for round_ in range(run.plan.rounds + 1):  # the first warms up and is not counted
            for name, server in servers.items():
                run.progress.say(f"{NAME}: round {round_} of {run.plan.rounds}, {name}")
                before, used = _entries(run.folder), server.cpu_seconds()
                with turn(server, everyone):
                    seconds = run.plan.seconds if round_ else WARM_UP_SECONDS
                    result = load(server.port, [path], token=client.token, connections=CONNECTIONS, seconds=seconds, core=load_core)
                    used = server.cpu_seconds() - used
                    if result.errors:
                        raise RuntimeError(f"{name}: {result.errors} requests failed")
                    if name == GATED:
                        time.sleep(SETTLED_SECONDS)
                if round_:
                    found[name].append(result)
                    cpu[name].append(used / result.requests * 1e6)
                    if name == GATED:
                        kept.append((_entries(run.folder) - before) / result.requests)
        beside = _beside_logins(run, servers[GATED], everyone, client, path, load_core)
    yield from _rows(found, cpu, kept)
    yield from beside
    yield _verified(run)


def _rows(found: dict[str, list[Load]], cpu: dict[str, list[float]], kept: list[float]) -> Iterator[Row]:
    rates = {name: [result.rate for result in results] for name, results in found.items()}
    what, reference = f"GET package, {CONNECTIONS} connections", "itself without audit and limits"
    yield compare(NAME, what, "req/s", rates[GATED], rates[PLAIN], reference, Target("ratio", 0.8, at_least=True))
    without = f"{what}, without audit and limits"
    yield compare(NAME, without, "req/s", rates[PLAIN], rates[FASTAPI], "FastAPI, no database", Target("ratio", 0.4, at_least=True))
    yield compare(NAME, f"{what}, processor time", "µs/req", cpu[GATED], cpu[PLAIN], reference)
    # wrk ends in the middle of what it has sent last: of these answers it counts none, and the audit has all of them.
    yield alone(NAME, "audit entries a request, 2 s after the load", "", kept, Target("value", 1.0, at_least=True))


def _beside_logins(run: Run, server: Server, everyone: list[Server], client: Client, path: str, load_core: int) -> list[Row]:
    for number in range(LOGINS):
        account = {"username": f"bench{number:02d}", "email": f"bench{number}@example.org", "password": PASSWORD}
        client.call("POST", "/auth/register", account)
    quiet, busy, done = [], [], 0

    def keep_logging_in(number: int, until: float) -> int:
        logged_in = 0
        with Client(server.port, client.token) as own:
            while time.monotonic() < until:
                own.call("POST", "/auth/login", {"username": f"bench{number:02d}", "password": PASSWORD})
                logged_in += 1
        return logged_in

    for round_ in range(1, run.plan.rounds + 1):
        run.progress.say(f"{NAME}: round {round_} of {run.plan.rounds}, beside {LOGINS} parallel log-ins")
        with turn(server, everyone), ThreadPoolExecutor(LOGINS) as pool:
            seconds = run.plan.seconds
            quiet.append(load(server.port, [path], token=client.token, connections=CONNECTIONS, seconds=seconds, core=load_core).p99)
            until = time.monotonic() + seconds + 1
            logins = [pool.submit(keep_logging_in, number, until) for number in range(LOGINS)]
            time.sleep(0.5)
            busy.append(load(server.port, [path], token=client.token, connections=CONNECTIONS, seconds=seconds, core=load_core).p99)
            done += sum(login.result() for login in logins)
    label = f"GET package, p99 beside {LOGINS} parallel log-ins"
    rate = done / ((run.plan.seconds + 1) * run.plan.rounds)
    return [
        compare(NAME, label, "ms", busy, quiet, "itself, nobody logs in"),
        alone(NAME, "log-ins meanwhile", "per s", [rate]),
    ]


def _entries(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "data/app.db", timeout=15)) as connection:
        return int(connection.execute("SELECT COALESCE(MAX(seq), 0) FROM audit").fetchone()[0])


def _verified(run: Run) -> Row:
    settings = Settings(_env_file=None, data_dir=run.folder / "data")
    database = Database(settings)
    rates = []
    try:
        for round_ in range(1, run.plan.rounds + 1):
            run.progress.say(f"{NAME}: verifying, round {round_} of {run.plan.rounds}")
            began = time.perf_counter()
            entries = verify(database, load_keys(settings).audit).entries
            rates.append(entries / (time.perf_counter() - began))
    finally:
        database.close()
    return alone(NAME, "audit verify", "rows/s", rates, Target("value", 100_000, at_least=True))
