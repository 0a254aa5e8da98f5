"""The store's lock: many builds, copies and switches at once, or one garbage collection, never both.

A reader-writer lock over two files with ``flock``, so that it holds between processes and the system frees it when one dies. The
turnstile keeps a collection from starving: once it waits there, nobody new comes in.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class StoreLock:
    """The lock of one data directory. Every acquisition opens files of its own: threads of one process exclude each other too."""

    folder: Path

    @contextmanager
    def shared(self, timeout: float | None = None) -> Iterator[None]:
        """Hold the store for work beside others' work; waits while a garbage collection runs or waits.

        Raises:
            TimeoutError: after ``timeout`` seconds.
            OSError: the lock's files can't be made.
        """
        until = _deadline(timeout)
        while (held := self._try_shared()) is None:
            _pause(until)
        try:
            yield
        finally:
            os.close(held)

    @asynccontextmanager
    async def shared_async(self) -> AsyncIterator[None]:
        """As ``shared``, without blocking the event loop; cancel the task to stop waiting."""
        while (held := self._try_shared()) is None:  # noqa: ASYNC110 - another process holds it: no event tells
            await asyncio.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            os.close(held)

    @contextmanager
    def exclusive(self, timeout: float | None = None) -> Iterator[None]:
        """Hold the store alone: keeps newcomers out at once, then waits for the work that is under way.

        Raises:
            TimeoutError: after ``timeout`` seconds; newcomers come in again.
            OSError: the lock's files can't be made.
        """
        until = _deadline(timeout)
        turnstile = self._open("turnstile")
        held = -1
        try:
            held = self._open("lock")
            while not _take(turnstile, fcntl.LOCK_EX):
                _pause(until)
            while not _take(held, fcntl.LOCK_EX):
                _pause(until)
            yield
        finally:
            if held >= 0:
                os.close(held)
            os.close(turnstile)

    def _try_shared(self) -> int | None:
        """A descriptor that holds the lock, or ``None`` while somebody has it alone or waits to."""
        turnstile = self._open("turnstile")
        try:
            if not _take(turnstile, fcntl.LOCK_SH):
                return None
            held = self._open("lock")
            fcntl.flock(held, fcntl.LOCK_SH)  # never waits: who has it alone has the turnstile alone too
            return held
        finally:
            os.close(turnstile)

    def _open(self, name: str) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        return os.open(self.folder / f"store.{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def store_lock(data_dir: Path) -> StoreLock:
    """The lock of the store that the service with this ``data_dir`` works on."""
    return StoreLock(data_dir / "nix")


def _take(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _pause(until: float | None) -> None:
    if until is not None and time.monotonic() >= until:
        raise TimeoutError("the Nix store is in use: a garbage collection and other work exclude each other; try again later")
    time.sleep(POLL_SECONDS)
