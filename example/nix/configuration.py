"""The nix.conf that every Nix process here is given.

Owns the settings and why they are as they are; runtime.py writes them down.
"""

from __future__ import annotations

import grp
import os
import shutil
from collections.abc import Sequence

from example.config import Settings
from example.nix.pins import DEMO, Pin

BUILD_USERS = "nixbld"


def configuration_of(settings: Settings, pins: Sequence[Pin]) -> str:
    """The nix.conf for these settings.

    Real package sets build as pure as this host's Nix makes them; only the bundled demo set, whose builders are shell scripts, gets the
    host's shell.
    """
    paths = [*settings.nix_sandbox_paths.split(), *(host_shell_paths() if tuple(pins) == (DEMO,) else ())]
    lines = {
        "build-users-group": build_users_group(),
        "builders": "",
        "substituters": _words(settings.nix_substituters),
        "trusted-public-keys": _words(settings.nix_trusted_public_keys),
        "sandbox": "true",
        "sandbox-fallback": "false",
        "extra-sandbox-paths": " ".join(paths),
        "experimental-features": "nix-command flakes",
        "restrict-eval": "true",
        "allowed-uris": " ".join(pin.url for pin in pins if pin.url),
        "allow-import-from-derivation": "false",
    }
    return "".join(f"{name} = {value}".rstrip() + "\n" for name, value in lines.items())


def build_users_group() -> str:
    """``nixbld`` where root builds and the group has members, else none: builders then run as whoever runs this service.

    Worth having: a builder that runs as root's own user could write into what the sandbox shows it of the host.
    """
    try:
        return BUILD_USERS if os.geteuid() == 0 and grp.getgrnam(BUILD_USERS).gr_mem else ""
    except KeyError:
        return ""


def host_shell_paths() -> tuple[str, ...]:
    """The host's shell, core utilities and libraries as ``sandbox-paths`` entries: what a shell script needs to build something."""
    programs = ("sh", "mkdir", "chmod", "sleep", "cat", "cp", "ln", "touch", "head", "dd", "kill")
    found = {f"/bin/{name}": shutil.which(name, path="/bin:/usr/bin") for name in programs}
    libraries = (folder for folder in ("/lib", "/lib64", "/usr/lib", "/usr/lib64") if os.path.isdir(folder))
    return (*(f"{inside}={os.path.realpath(outside)}" for inside, outside in found.items() if outside), *libraries)


def _words(text: str) -> str:
    """One line: a line break would start a setting of its own."""
    return " ".join(text.split())
