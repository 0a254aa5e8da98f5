"""Environments on this host: where each lives, and the lock under which it changes. The profile itself is Nix's business (example.nix)."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from example.errors import EnvironmentBusy
from example.nix.runtime import NixRuntime

LOCK_PATIENCE_SECONDS = 120.0
_LOCK_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Host:
    """What a change of an environment works with."""

    runtime: NixRuntime
    folder: Path

    def profile(self, environment_id: int) -> Path:
        """The path that is live: a symlink that a switch replaces in one rename. Its name is the server's number, never the user's text."""
        return self.folder / str(environment_id) / "profile"


@contextmanager
def exclusive(host: Host, environment_id: int, patience: float = LOCK_PATIENCE_SECONDS) -> Iterator[Path]:
    """Change one environment, one change at a time, on every process of this host; answers the profile's path.

    Raises:
        EnvironmentBusy: other changes took longer than ``patience`` seconds.
    """
    profile = host.profile(environment_id)
    profile.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(profile.parent / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + patience
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise EnvironmentBusy("another change of this environment is still going on; try again in a minute") from None
                time.sleep(_LOCK_POLL_SECONDS)
        yield profile
    finally:
        os.close(file)


def take_down(host: Host, environment_id: int) -> None:
    """Remove an environment of this host, at first what is live, in one step. The caller holds its lock.

    Raises:
        OSError: something can't be removed; what was live may be there still.
    """
    profile = host.profile(environment_id)
    profile.unlink(missing_ok=True)
    shutil.rmtree(profile.parent)
