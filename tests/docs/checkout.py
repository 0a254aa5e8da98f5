"""A folder in which a reader types: the Makefile and the programs of this checkout, set up already, and a home of the reader's own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from example.config import Settings
from tests.service import ROOT, free_port

PORT = re.compile(r"\b8000\b")
FOLDERS = (".venv/bin", "scripts", "home", "example")  # example: what --reload watches; the code is this checkout's


@dataclass
class Checkout:
    """Nothing of it but the port differs from what the README says. ``more``: what the reader has exported."""

    folder: Path
    port: int
    more: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path) -> Checkout:
        """``scripts/setup.sh`` does nothing here: the programs in ``.venv`` are there, and run this checkout's code."""
        for name in FOLDERS:
            (folder / name).mkdir(parents=True)
        shutil.copy(ROOT / "Makefile", folder)
        found = re.findall(r'"([a-z-]+)=(example\.[\w.]+):', (ROOT / "setup.py").read_text(encoding="utf-8"))
        modules = dict(found) | {"uvicorn": "uvicorn"}
        programs = {folder / ".venv/bin" / name: f'exec {sys.executable} -P -m {module} "$@"' for name, module in modules.items()}
        for program, text in {**programs, folder / "scripts/setup.sh": "true"}.items():
            program.write_text(f"#!/bin/sh\n{text}\n")
            program.chmod(0o755)
        return cls(folder, free_port())

    @property
    def url(self) -> str:
        """Where the service answers."""
        return f"http://127.0.0.1:{self.port}"

    def env(self) -> dict[str, str]:
        """An environment without settings, and without what the person who runs the tests has saved."""
        settings = {*Settings.model_fields, "nix_path", "pkgctl_token", "api_key", "makeflags", "makelevel", "xdg_config_home"}
        kept = {name: value for name, value in os.environ.items() if name.lower() not in settings and not name.startswith("COV")}
        home = {"HOME": str(self.folder / "home"), "PKGCTL_URL": self.url, "PKGCTL_KEYRING": "off", "NO_PROXY": "127.0.0.1"}
        return kept | home | {"PYTHONPATH": str(ROOT)} | self.more

    def as_typed(self, commands: str) -> str:
        """The README's commands with this checkout's port."""
        return PORT.sub(str(self.port), commands)

    def typed(self, commands: str) -> str:
        """What the commands print in a plain shell that stops at the first failure."""
        argv = ["sh", "-eu", "-c", self.as_typed(commands)]
        ended = subprocess.run(argv, cwd=self.folder, env=self.env(), capture_output=True, text=True, check=False, timeout=60)
        assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
        return ended.stdout
