"""The live view of a job: its log above, its progress below. A terminal gets a bar, a pipe gets the log lines only."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from . import plain
from .screen import Screen


class View(Protocol):
    """Where a followed job appears."""

    def log(self, text: str) -> None:
        """Lines of its log."""

    def progress(self, job: dict[str, Any]) -> None:
        """Where it stands."""


class _Lines:
    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def log(self, text: str) -> None:
        self._screen.log(text)

    def progress(self, job: dict[str, Any]) -> None:
        """A pipe has no place for it."""


class _Bar(_Lines):
    def __init__(self, screen: Screen, bar: Progress, task: TaskID) -> None:
        super().__init__(screen)
        self._bar = bar
        self._task = task

    def progress(self, job: dict[str, Any]) -> None:
        phase, done, expected = read_progress(job)
        count = f"{done}/{expected}" if expected else ""
        self._bar.update(self._task, description=phase, completed=done, total=expected or None, count=count)


@contextmanager
def live(screen: Screen) -> Iterator[View]:
    """The view, for as long as the job is followed."""
    console = screen.running
    if not console.is_terminal:
        yield _Lines(screen)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield _Bar(screen, bar, bar.add_task("waiting", total=None, count=""))


def read_progress(job: dict[str, Any]) -> tuple[str, int, int]:
    """Phase, done and expected; the state stands in for a phase that is not known yet."""
    progress = job.get("progress")
    if not isinstance(progress, dict):
        progress = {}
    return plain.line(progress.get("phase") or job.get("state")), _count(progress.get("done")), _count(progress.get("expected"))


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
