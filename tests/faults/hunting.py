"""Finds the processes of one Nix store, and a package set whose builds take a while."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

SLOW_SECONDS = 2


def slow_set(folder: Path, packages: int) -> Path:
    """A package set of ``slow-0``, ``slow-1``, …, version 1.0, that take two seconds each; answers its path."""
    path = folder / "slow.nix"
    script = f"for i in $(seq {SLOW_SECONDS * 10}); do echo step $i; sleep 0.1; done; mkdir -p $out/bin; echo $name > $out/bin/$name"
    script = script.replace("$(seq 20)", " ".join(map(str, range(SLOW_SECONDS * 10))))
    path.write_text(
        "let slow = n: derivation {\n"
        '  name = "slow-${toString n}-1.0"; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/bin:/usr/bin";\n'
        f'  args = [ "-c" "{script}" ];\n'
        '} // { pname = "slow-${toString n}"; version = "1.0"; };\n'
        f'in builtins.listToAttrs (builtins.genList (n: {{ name = "slow-${{toString n}}"; value = slow n; }}) {packages})\n'
    )
    return path


def workers_on(store: Path) -> list[int]:
    """The Nix processes and builders that work on ``store`` at this moment: their environment names it."""
    words = (f"\0NIX_STORE_DIR={store}\0".encode(), f"\0NIX_STORE={store}\0".encode())
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                environment = b"\0" + (folder / "environ").read_bytes()
                if any(word in environment for word in words):
                    found.append(int(folder.name))
    return found


def kill(process: int) -> None:
    """kill -9, when it is still there."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
