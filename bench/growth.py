"""The same reads with 100,000 packages as with 100: nothing may grow with the table."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator

from bench.client import Client
from bench.filling import RARE_STATUS, fill, name_of
from bench.load import load
from bench.plan import Run
from bench.point_reads import FEW, SETTINGS, WARM_UP_SECONDS, turn
from bench.report import Row, Target, compare
from bench.servers import SERVICE, Server, cores, running

NAME = "growth"
NEEDS = ("wrk", "taskset")
FEW_PACKAGES = 100
SAMPLES = 1000
PART = 10
"""Rows of a filtered page: as many as the small database has too."""


def reads(packages: int) -> dict[str, list[str]]:
    """What is read, by name: the paths that the load asks for in turn. Each answer has as many rows in both databases."""
    chosen = random.Random(7).choices(range(1, packages + 1), k=SAMPLES)
    listing = "/api/v1/packages"
    return {
        "one package, random ids": [f"/api/v1/package/{number}" for number in chosen],
        "first page of 100": [f"{listing}?limit=100"],
        f"page of {PART} by status": [f"{listing}?status=downloaded&limit={PART}"],
        f"page of {PART} by source and status": [f"{listing}?source=nix&status=failed&limit={PART}"],
        f"page of {PART} by source and a rare status": [f"{listing}?source=nix&status={RARE_STATUS}&limit={PART}"],
        "page by name": [f"{listing}?name={name_of(number)}&limit={PART}" for number in chosen],
    }


def measure(run: Run) -> Iterator[Row]:
    """The rows of this measure."""
    core, load_core = cores()
    sizes = (FEW_PACKAGES, run.plan.many)
    servers: dict[int, Server] = {}
    for size in sizes:
        run.progress.say(f"{NAME}: filling a database with {size:,} packages")
        servers[size] = Server(SERVICE, run.folder / str(size), SETTINGS, core=core)
        fill(servers[size].folder / "data", size)
    everyone = list(servers.values())
    milliseconds: dict[tuple[str, int], list[float]] = defaultdict(list)
    with running(*everyone):
        tokens = {}
        for size in sizes:
            with Client(servers[size].port) as client:
                tokens[size] = client.token
                _check(client, size)
        for round_ in range(run.plan.rounds + 1):  # the first warms up and is not counted
            for what in reads(FEW_PACKAGES):
                for size in sizes if round_ % 2 else reversed(sizes):
                    run.progress.say(f"{NAME}: round {round_} of {run.plan.rounds}, {what}, {size:,} packages")
                    seconds = run.plan.part_seconds if round_ else WARM_UP_SECONDS
                    with turn(servers[size], everyone):
                        paths = reads(size)[what]
                        result = load(servers[size].port, paths, token=tokens[size], connections=FEW, seconds=seconds, core=load_core)
                    if result.errors or not result.requests:
                        raise RuntimeError(f"{what}, {size:,} packages: {result.errors} errors in {result.requests} requests")
                    if round_:
                        milliseconds[what, size].append(1000 / result.rate)
    for what in reads(FEW_PACKAGES):
        large, small = milliseconds[what, run.plan.many], milliseconds[what, FEW_PACKAGES]
        label = f"{what}, {run.plan.many:,} packages"
        yield compare(NAME, label, "ms/req", large, small, f"{FEW_PACKAGES} packages", Target("ratio", 1.2))


def _check(client: Client, size: int) -> None:
    """Both databases answer pages of the same length, or the comparison would be of nothing."""
    for what, paths in reads(size).items():
        rows = client.call("GET", paths[0].removeprefix("/api/v1"))
        wanted = 1 if "one package" in what else FEW_PACKAGES if "first page" in what else PART
        found = len(rows) if isinstance(rows, list) else 1
        assert found == wanted, f"{what}: {found} rows with {size:,} packages, not {wanted}"
