"""Locks that are files: ``flock`` on a file that is there only while somebody holds it. The system frees them when a process dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def try_lock(path: Path, *, create: bool = True) -> int | None:
    """A descriptor that holds the lock, or ``None`` while somebody else does. Close it to let go.

    Raises:
        FileNotFoundError: there is no such file, and ``create`` is off.
        OSError: the file can't be made.
    """
    while True:
        file = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file), os.stat(path)):
                return file
        except BlockingIOError:
            os.close(file)
            return None
        except FileNotFoundError:
            pass
        os.close(file)  # its holder removed the file between our open and our lock: this one excludes nobody


def remove_lock(path: Path, file: int) -> None:
    """Let go of the lock and remove its file; whoever opened it meanwhile notices (``try_lock``)."""
    path.unlink(missing_ok=True)
    os.close(file)
