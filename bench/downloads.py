"""Downloads of packages that the store has already, against the bare ``nix-build`` of the same attributes: one by one, and 100 at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bench.client import Client, wait_until
from bench.nixset import VERSION, NixSet, make_set
from bench.plan import Run
from bench.point_reads import SETTINGS, turn
from bench.report import Row, Target, alone, compare
from bench.servers import SERVICE, Server, running
from example.config import Settings

NAME = "downloads"
NEEDS = ("nix-build", "unshare", "setpriv")
CONCURRENCY: int = Settings.model_fields["job_concurrency"].default
QUIET_SECONDS = 5
"""Long enough for everything that a download warms up to be idle again."""
CLIENTS = 8
POLL_SECONDS = 0.01
"""An answer costs the service a millisecond of the core that it also works with: asked every 3 ms, a download takes 20 ms longer."""
BATCH_POLL_SECONDS = 0.2
REFERENCE = "bare nix-build"


def measure(run: Run) -> Iterator[Row]:
    """The rows of this measure."""
    plan = run.plan
    data_dir = run.folder / "service/data"
    made = make_set(run.folder, data_dir, max(plan.batch, plan.singles + 1))
    run.progress.say(f"{NAME}: building {made.count} packages")
    made.build_all(made.names, CONCURRENCY)
    server = Server(SERVICE, run.folder / "service", SETTINGS | made.settings)
    with running(server), Client(server.port) as client:
        yield from _one_by_one(run, server, client, made)
        yield from _at_once(run, server, client, made)
        yield alone(NAME, "resident memory after these downloads", "MB", [server.resident_mb()], Target("value", 150))
    yield from _quiet(run, made)


def _one_by_one(run: Run, server: Server, client: Client, made: NixSet) -> Iterator[Row]:
    """A service that is at work: its last job ended a moment ago."""
    ours, bare = [], []
    for number, name in enumerate(made.names[: run.plan.singles + 1]):  # the first warms up and is not counted
        run.progress.say(f"{NAME}: {number} of {run.plan.singles}, one by one")
        ours.append(_timed_download(client, name))
        bare.append(_timed_build(server, made, name))
    yield compare(NAME, "one already built, service at work", "ms", ours[1:], bare[1:], REFERENCE, Target("difference", 60))


def _quiet(run: Run, made: NixSet) -> Iterator[Row]:
    """Services that nobody has asked for a download for a while: several, so that they can fall quiet together."""
    plan = run.plan
    folders = [run.folder / f"quiet-{number}" for number in range(plan.quiet_servers)]
    servers = [Server(SERVICE, folder, SETTINGS | made.settings | {"DATA_DIR": str(folder / "data")}) for folder in folders]
    ours, bare = [], []
    with running(*servers):
        for server in servers:  # its first download ever also loads code
            with Client(server.port) as client:
                _timed_download(client, made.names[0])
        for round_ in range(1, plan.quiet_rounds + 1):
            run.progress.say(f"{NAME}: quiet round {round_} of {plan.quiet_rounds}, waiting {QUIET_SECONDS} s")
            time.sleep(QUIET_SECONDS)
            for number, server in enumerate(servers):
                with turn(server, servers), Client(server.port) as client:
                    time.sleep(0.5 + 0.017 * number)  # not in step with its looks
                    ours.append(_timed_download(client, made.names[number]))
                    bare.append(_timed_build(server, made, made.names[number]))
    yield compare(NAME, "one already built, service quiet before", "ms", ours, bare, REFERENCE, Target("difference", 60))


def _timed_download(client: Client, name: str) -> float:
    package_id = client.create(name, VERSION)
    began = time.perf_counter()
    client.call("POST", f"/package/{package_id}/download")
    wait_until(lambda: client.call("GET", f"/package/{package_id}")["status"] != "downloading", every=POLL_SECONDS)
    elapsed = time.perf_counter() - began
    package = client.call("GET", f"/package/{package_id}")
    assert package["status"] == "downloaded", package["error"]
    client.call("DELETE", f"/package/{package_id}")
    return elapsed * 1000


def _timed_build(server: Server, made: NixSet, name: str) -> float:
    with server.stopped():
        began = time.perf_counter()
        made.build(name)
        return (time.perf_counter() - began) * 1000


def _at_once(run: Run, server: Server, client: Client, made: NixSet) -> Iterator[Row]:
    names = made.names[: run.plan.batch]
    ours, bare, cpu = [], [], []
    for round_ in range(1, run.plan.batches + 1):
        run.progress.say(f"{NAME}: batch {round_} of {run.plan.batches}, {len(names)} bare nix-build")
        with server.stopped():
            began = time.perf_counter()
            made.build_all(names, CONCURRENCY)
            bare.append(len(names) / (time.perf_counter() - began))
        run.progress.say(f"{NAME}: batch {round_} of {run.plan.batches}, {len(names)} downloads")
        seconds, used = _timed_batch(server, client, names)
        ours.append(len(names) / seconds)
        cpu.append(used / len(names) * 1000)
    target = Target("ratio", 0.5, at_least=True)
    label = f"{len(names)} at once, {CONCURRENCY} at a time"
    yield compare(NAME, label, "per s", ours, bare, REFERENCE, target)
    yield alone(NAME, f"{label}, processor time of the service alone", "ms each", cpu)


def _timed_batch(server: Server, client: Client, names: list[str]) -> tuple[float, float]:
    """Seconds from the first of many requests to the last package that is there, and the server's processor seconds meanwhile."""
    ids = [client.create(name, VERSION) for name in names]

    def ask(mine: list[int]) -> None:
        with Client(server.port, client.token) as own:
            for package_id in mine:
                own.call("POST", f"/package/{package_id}/download")

    began, used = time.perf_counter(), server.cpu_seconds()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(ask, [ids[start::CLIENTS] for start in range(CLIENTS)]))
    wait_until(lambda: client.count("downloaded") == len(ids), every=BATCH_POLL_SECONDS)
    elapsed, used = time.perf_counter() - began, server.cpu_seconds() - used
    for package_id in ids:
        client.call("DELETE", f"/package/{package_id}")
    return elapsed, used
