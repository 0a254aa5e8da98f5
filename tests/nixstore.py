"""Real Nix for tests: a hermetic store, settings that use it, and listeners that remember.

Import the fixtures in a conftest (``from tests.nixstore import nix_settings, nix_store``); ``-p tests.nixstore`` works too.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from example.config import Settings
from example.nix.configuration import host_shell_paths
from example.sources.nix import NixSource
from example.sources.protocol import Artifact, FetchRequest

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For property tests: a busy machine is no failure."""

SETS = Path(__file__).resolve().parent / "nix/sets"


@dataclass
class Remembering:
    """A report that keeps everything, and can be waited on."""

    text: str = ""
    steps: list[tuple[int, int, str]] = field(default_factory=list)

    def log(self, text: str) -> None:
        self.text += text

    def progress(self, done: int, expected: int, phase: str) -> None:
        self.steps.append((done, expected, phase))

    async def until(self, words: str, seconds: float = 10) -> None:
        """Wait until the log or a phase holds ``words``."""
        async with asyncio.timeout(seconds):
            while words not in self.text and all(words not in phase for _, _, phase in self.steps):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


def make_settings(data_dir: Path, **values: Any) -> Settings:
    """Settings of a service whose store is below ``data_dir`` unless ``nix_root`` says otherwise, with the tests' package set."""
    defaults: dict[str, Any] = {
        "data_dir": data_dir,
        "nix_root": data_dir / "root",
        "nix_pins": f"test={SETS}",
        "nix_sandbox_paths": " ".join(host_shell_paths()),
        "nix_eval_timeout": 30,
        "nix_build_timeout": 30,
        "nix_silent_timeout": 30,
        "rate_limit_anonymous": "100000/minute",
        "rate_limit_authenticated": "100000/minute",
        "rate_limit_search": "100000/minute",
    }
    return Settings(_env_file=None, **(defaults | values))


def fetch(settings: Settings, name: str, version: str = "1.0", package_id: int = 1, report: Remembering | None = None) -> Artifact:
    """One fetch in an event loop of its own."""
    source = NixSource.from_settings(settings)
    return asyncio.run(source.fetch(FetchRequest(package_id, name, version), report or Remembering()))


def processes(words: str) -> list[int]:
    """The live processes whose command line holds ``words``."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and int(folder.name) != os.getpid() and words in (folder / "cmdline").read_text(errors="replace"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def eventually(holds: Callable[[], bool], seconds: float = 5) -> bool:
    """Whether ``holds`` becomes true in time."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(scope="session")
def nix_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for the whole session: what one test built, the next finds there."""
    return tmp_path_factory.mktemp("nix") / "root"


@pytest.fixture
def nix_settings(tmp_path: Path, nix_store: Path) -> Settings:
    """Settings with a data directory of their own on the session's store."""
    return make_settings(tmp_path / "data", nix_root=nix_store)
