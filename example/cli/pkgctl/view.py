"""The live view of a job: its log above, its progress below. A terminal gets a bar, a pipe gets the log lines only."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from . import plain
from .screen import Screen

_DRAW_EVERY = 0.1  # seconds: at once, to the eye


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
    """Collects log lines and shows them together: every write draws the bar anew, and one a line takes a second per thousand."""

    def __init__(self, screen: Screen, bar: Progress, task: TaskID) -> None:
        super().__init__(screen)
        self._bar = bar
        self._task = task
        self._pending: list[str] = []
        self._lock = threading.Lock()

    def log(self, text: str) -> None:
        with self._lock:
            self._pending.append(text)

    def progress(self, job: dict[str, Any]) -> None:
        phase, done, expected = read_progress(job)
        count = f"{done}/{expected}" if expected else ""
        self._bar.update(self._task, description=phase, completed=done, total=expected or None, count=count)

    def flush(self) -> None:
        """Show what has come in."""
        with self._lock:
            lines, self._pending = self._pending, []
        if lines:
            super().log("\n".join(lines))


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
        view = _Bar(screen, bar, bar.add_task("waiting", total=None, count=""))
        ended = threading.Event()
        flusher = threading.Thread(target=_flush_until, args=(ended, view), daemon=True)
        flusher.start()
        try:
            yield view
        finally:
            ended.set()
            flusher.join()
            view.flush()


def _flush_until(ended: threading.Event, view: _Bar) -> None:
    while not ended.wait(_DRAW_EVERY):
        view.flush()


def read_progress(job: dict[str, Any]) -> tuple[str, int, int]:
    """Phase, done and expected; the state stands in for a phase that is not known yet."""
    progress = job.get("progress")
    if not isinstance(progress, dict):
        progress = {}
    return plain.line(progress.get("phase") or job.get("state")), _count(progress.get("done")), _count(progress.get("expected"))


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
