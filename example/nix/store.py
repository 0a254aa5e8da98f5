"""The store as a whole: how big closures are, whether it is sound, and collecting what nobody keeps.

Sizes are read from Nix's own database, opened read-only: under a millisecond, where ``nix path-info`` takes fifty.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import quote

from example.nix.failures import explain_call, shorten
from example.nix.lock import store_lock
from example.nix.running import Ended, call
from example.nix.runtime import NixRuntime

COLLECT_SECONDS = 6 * 3600.0
VERIFY_SECONDS = 6 * 3600.0

_CLOSURE_SIZE = """
    WITH RECURSIVE closure(id) AS (
        SELECT id FROM ValidPaths WHERE path IN (SELECT value FROM json_each(?))
        UNION
        SELECT reference FROM Refs JOIN closure ON Refs.referrer = closure.id
    )
    SELECT COUNT(*), COALESCE(SUM(narSize), 0) FROM ValidPaths JOIN closure USING (id)
"""
_STORE_SIZE = "SELECT COUNT(*), COALESCE(SUM(narSize), 0) FROM ValidPaths"


class StoreError(Exception):
    """The store can't do what it was asked; the text says why and what to do."""


@dataclass(frozen=True)
class Collected:
    """What a collection freed: ``paths`` and their ``bytes`` (``None`` where the database can't be read)."""

    paths: int | None
    bytes: int | None


def closure_size(runtime: NixRuntime, paths: Sequence[str]) -> int | None:
    """The bytes of ``paths`` and of all that they need, each counted once; ``None`` when the database can't be read or knows none."""
    found = _ask(runtime, _CLOSURE_SIZE, json.dumps(list(paths)))
    return found[1] if found and found[0] else None


def verify(runtime: NixRuntime, *, contents: bool = False) -> list[str]:
    """What is wrong with the store, a line each: paths that are gone, and with ``contents`` paths that were changed.

    Raises:
        StoreError: it could not be checked.
    """
    argv = [runtime.tool("nix-store"), "--verify", *(["--check-contents"] if contents else [])]
    with store_lock(runtime.data_dir).shared():
        ended = _call(runtime, argv, VERIFY_SECONDS)
    problems = [line for line in ended.errors.splitlines() if "disappeared" in line or "was modified" in line or line.startswith("error:")]
    if ended.code != 0 and not problems:
        raise StoreError(f"checking the store failed: {shorten(ended.errors)}")
    return problems


def collect_garbage(runtime: NixRuntime, report: Callable[[str], None] = lambda _: None) -> Collected:
    """Delete what no root keeps, alone on the store: waits for builds, copies and switches, and keeps new ones waiting.

    ``report`` is told what Nix says, line by line, at the end. Sweeps the build folders of dead processes too.

    Raises:
        StoreError: the collection failed.
    """
    argv = [runtime.tool("nix-store"), "--gc"]
    with store_lock(runtime.data_dir).exclusive():
        before = _ask(runtime, _STORE_SIZE)
        ended = _call(runtime, argv, COLLECT_SECONDS)
        after = _ask(runtime, _STORE_SIZE)
        runtime.remove_build_folders()
    for line in ended.errors.splitlines():
        report(line)
    if failure := explain_call("collecting garbage", ended):
        raise StoreError(failure.text)
    if before is None or after is None:
        return Collected(None, None)
    return Collected(before[0] - after[0], before[1] - after[1])


def _call(runtime: NixRuntime, argv: Sequence[str], timeout: float) -> Ended:
    try:
        return call(argv, runtime.env, timeout)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise StoreError(f"{argv[0]} could not do its work: {problem}") from problem


def _ask(runtime: NixRuntime, query: str, *values: str) -> tuple[int, int] | None:
    database = runtime.state_dir / "db/db.sqlite"
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=1)) as connection:
            paths, size = connection.execute(query, values).fetchone()
    except sqlite3.Error:
        return None
    return int(paths), int(size)
