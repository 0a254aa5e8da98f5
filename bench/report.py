"""What a run says: rows with a verdict, as one table for people and as JSON for programs.

A missed target is said, never raised: a benchmark is not a test, and machines are shared.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

LATEST = Path(__file__).resolve().parent / "results/latest.json"


@dataclass(frozen=True)
class Target:
    """What ``of`` a row must hold: its ``ratio``, the measured ``value``, or the ``difference`` to the reference."""

    of: str
    bound: float
    at_least: bool = False

    def met(self, row: Row) -> bool:
        """Whether the row holds it."""
        found = {"ratio": row.ratio, "value": row.value, "difference": row.value - (row.reference or 0.0)}[self.of]
        return found is not None and (found >= self.bound if self.at_least else found <= self.bound)

    def words(self, unit: str) -> str:
        """As the table says it."""
        sign = "≥" if self.at_least else "≤"
        return {
            "ratio": f"{sign} {self.bound:g}",
            "value": f"{sign} {self.bound:g} {unit}",
            "difference": f"{sign} +{self.bound:g} {unit}",
        }[self.of]


@dataclass(frozen=True)
class Row:
    """One figure: medians of the run, and ``ratio``, the median of what each round's pair gave. ``rounds`` keeps the raw figures."""

    measure: str
    what: str
    value: float
    unit: str
    reference: float | None = None
    reference_name: str = ""
    ratio: float | None = None
    target: Target | None = None
    rounds: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def verdict(self) -> str:
        """``ok``, ``MISSED``, or nothing where nothing was promised."""
        return "" if self.target is None else "ok" if self.target.met(self) else "MISSED"


def compare(
    measure: str,
    what: str,
    unit: str,
    measured: Sequence[float],
    reference: Sequence[float],
    reference_name: str,
    target: Target | None = None,
) -> Row:
    """A row from figures taken in turns: the ratio is the median of the pairs', so that a machine that slows down slows both."""
    ratio = median(one / other for one, other in zip(measured, reference, strict=True))
    kept = {"measured": measured, "reference": reference}
    return Row(measure, what, median(measured), unit, median(reference), reference_name, ratio, target, kept)


def alone(measure: str, what: str, unit: str, measured: Sequence[float], target: Target | None = None) -> Row:
    """A row whose target is absolute and that nothing is compared with."""
    return Row(measure, what, median(measured), unit, target=target, rounds={"measured": measured})


def table_of(rows: Sequence[Row]) -> Table:
    """The one table."""
    table = Table(title="Package Master: measured against references of the same run", title_justify="left")
    for heading in ("what", "measured", "reference", "ratio", "target", ""):
        table.add_column(heading, justify="right" if heading in ("measured", "ratio", "target") else "left")
    previous = ""
    for row in rows:
        if previous not in ("", row.measure):
            table.add_section()
        previous = row.measure
        reference = "" if row.reference is None else f"{_figure(row.reference)} {row.unit}, {row.reference_name}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        target, verdict = row.target.words(row.unit) if row.target else "", row.verdict()
        style = "bold red" if verdict == "MISSED" else None
        table.add_row(row.what, f"{_figure(row.value)} {row.unit}", reference, ratio, target, verdict, style=style)
    return table


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def machine() -> dict[str, object]:
    """What it ran on. Compare absolute figures of one machine only."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    cores = len(os.sched_getaffinity(0))
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": cores,
        "memory_mb": memory,
        "load": os.getloadavg()[0],
    }


def write_json(rows: Sequence[Row], *, quick: bool, started: float, about: Mapping[str, object], target: Path = LATEST) -> Path:
    """Keep the run as JSON, rounds included."""
    target.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - started, 1),
        "quick": quick,
        "machine": about,
        "rows": [asdict(row) | {"verdict": row.verdict()} for row in rows],
    }
    target.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return target


@dataclass
class Progress:
    """Says what goes on: one changing line on a terminal, one line each elsewhere."""

    console: Console

    def say(self, text: str) -> None:
        """What is being done now."""
        if self.console.is_terminal:
            self.console.print(f"\r\x1b[2K… {text}"[: self.console.width + 5], end="", highlight=False, markup=False, soft_wrap=True)
        else:
            self.console.print(f"… {text}", highlight=False, markup=False, soft_wrap=True)

    def clear(self) -> None:
        """Nothing more."""
        if self.console.is_terminal:
            self.console.print("\r\x1b[2K", end="")
