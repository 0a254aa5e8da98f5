"""How thorough a run is, and what every measure is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.report import Progress


@dataclass(frozen=True)
class Plan:
    """How often and how long (seconds) things are measured. ``many`` is the large database's size."""

    rounds: int
    seconds: int
    part_seconds: int
    many: int
    singles: int
    quiet_servers: int
    quiet_rounds: int
    batches: int
    batch: int


FULL = Plan(rounds=5, seconds=3, part_seconds=2, many=100_000, singles=40, quiet_servers=6, quiet_rounds=2, batches=3, batch=100)
QUICK = Plan(rounds=3, seconds=1, part_seconds=1, many=100_000, singles=10, quiet_servers=3, quiet_rounds=1, batches=1, batch=30)


@dataclass(frozen=True)
class Run:
    """One run: its plan, a folder that goes away with it, and where to say how far it is."""

    plan: Plan
    folder: Path
    progress: Progress
