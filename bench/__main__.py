"""``python -m bench``: measure, print one table, write ``bench/results/latest.json``. A missed target is no error: the exit code is 0."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType

from rich.console import Console

from bench import downloads, gate, growth, point_reads, starting
from bench.plan import FULL, QUICK, Run
from bench.report import Progress, Row, machine, table_of, write_json

MEASURES: dict[str, ModuleType] = {module.NAME: module for module in (point_reads, gate, growth, downloads, starting)}
WIDTH = 140
REMEDIES = {
    "wrk": "apt-get install wrk",
    "nix-build": "apt-get install nix-bin",
    "taskset": "apt-get install util-linux",
    "unshare": "apt-get install util-linux",
    "setpriv": "apt-get install util-linux",
}


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter and less exact: about three minutes")
    parser.add_argument(
        "--only", action="append", choices=sorted(MEASURES), metavar="NAME", help=f"one of {', '.join(MEASURES)}; repeatable"
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    out, progress = Console(), Progress(Console(stderr=True))
    if not out.is_terminal:
        out.width = WIDTH

    started, about = time.monotonic(), machine()
    rows: list[Row] = []
    code = 0
    try:
        with temporary_folder() as folder:
            for name in arguments.only or MEASURES:
                place = folder / name
                place.mkdir(exist_ok=True)
                rows.extend(rows_of(name, Run(QUICK if arguments.quick else FULL, place, progress)))
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    progress.clear()
    if rows:
        out.print(table_of(rows))
    if rows and not code:  # half a run must not pass for the latest one
        target = write_json(rows, quick=arguments.quick, started=started, about=about)
        out.print(f"{time.monotonic() - started:.0f} s; every round's figures: {os.path.relpath(target)}", highlight=False, soft_wrap=True)
    return code


def rows_of(name: str, run: Run) -> Iterator[Row]:
    """What a measure finds. One that can't be taken is said in one line, and the others go on."""
    module = MEASURES[name]
    if missing := [program for program in module.NEEDS if shutil.which(program) is None]:
        remedies = "; ".join(f"{program} is missing: {REMEDIES[program]}" for program in missing)
        print(f"bench: {name} is left out, {remedies}", file=sys.stderr)
        return
    try:
        yield from module.measure(run)
    except Exception as error:
        run.progress.clear()
        print(f"bench: {name} could not be measured: {type(error).__name__}: {error}", file=sys.stderr)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that goes away, whatever is in it: a Nix store is read-only."""
    folder = Path(tempfile.mkdtemp(prefix="package-master-bench-"))
    try:
        yield folder
    finally:
        for place, folders, _ in os.walk(folder):
            for name in folders:
                path = os.path.join(place, name)
                if not os.path.islink(path):
                    os.chmod(path, stat.S_IRWXU)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
