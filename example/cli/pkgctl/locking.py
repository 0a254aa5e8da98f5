"""One pkgctl at a time: a lock on a file (flock) around what two must not do at once. It goes when its holder dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import Refused

PATIENCE = 60.0  # seconds: longer than a request to a slow server takes
_LOOK_EVERY = 0.02


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock, with the file and its private folder made if they aren't there. Raises Refused when it can't be had."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Refused(f"cannot lock {path}: {error.strerror}") from None
    try:
        _acquire(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Refused(f"another pkgctl has held {path} for {PATIENCE:.0f} s", hint="end it, then try again") from None
        except OSError as error:
            raise Refused(f"cannot lock {path}: {error.strerror}") from None
        time.sleep(_LOOK_EVERY)
