"""Profiles: environments that are built aside and switched to in one rename; every generation stays until it is deleted.

Synchronous, for worker threads. Nothing here locks: the caller holds ``store_lock(data_dir).shared()`` over build and switch together, or
a collection could take what was built before it is live. What is live is read by ``readlink``, never from a database.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from example.nix.failures import Failure, Kind, explain_call, explain_os_error
from example.nix.running import Ended, call
from example.nix.runtime import NixMissing, NixRuntime

EXPRESSION = Path(__file__).resolve().parent / "environment.nix"
CALL_SECONDS = 120.0

_SAME_FILE = re.compile(r"'(?P<one>/[^']+)' and '(?P<other>/[^']+)' have the same priority")


class ProfileError(Exception):
    """An environment could not be built or switched; nothing changed. The text says why and what to do, ``kind`` what it is."""

    def __init__(self, text: str, kind: Kind = Kind.UNAVAILABLE) -> None:
        super().__init__(text)
        self.kind = kind


class EnvironmentConflict(ProfileError):
    """Two packages bring the same ``file``; ``packages`` are their store paths."""

    def __init__(self, file: str, packages: tuple[str, str]) -> None:
        names = " and ".join(path.rpartition("/")[2].partition("-")[2] for path in packages)
        super().__init__(f"{names} both bring {file}; deactivate one of them", Kind.BUILD_FAILED)
        self.file = file
        self.packages = packages


@dataclass(frozen=True)
class Live:
    """A generation of a profile and the store path that it shows."""

    generation: int
    store_path: str


def build_environment(runtime: NixRuntime, paths: Sequence[str]) -> str:
    """The store path of one tree over all ``paths``; the same paths give the same tree, and none an empty one.

    Nothing keeps it from the collector until ``set_profile``.

    Raises:
        EnvironmentConflict: two packages bring the same file.
        ProfileError: a path is not in the store any more, or Nix can't do it.
    """
    for path in paths:
        if os.path.dirname(path) != str(runtime.store_dir) or not os.path.lexists(path):
            raise ProfileError(f"{path} is not in the store any more; download the package again")
    argv = [
        "nix-build", str(EXPRESSION), "--no-out-link",
        "-I", f"resolver={EXPRESSION.parent}", "-I", f"store={runtime.store_dir}",
        "--argstr", "paths", json.dumps(list(dict.fromkeys(paths))),
    ]  # fmt: skip
    ended = _run(runtime, argv, wrapped=True)
    if same := _SAME_FILE.search(ended.errors):
        one, other = _split(runtime, same["one"]), _split(runtime, same["other"])
        raise EnvironmentConflict(one[1] or other[1], (one[0], other[0]))
    _check("building the environment", ended)
    return ended.output.strip()


def set_profile(runtime: NixRuntime, profile: Path, store_path: str) -> int:
    """Make ``store_path`` live in ``profile``; the number of the generation that shows it (an equal newest one is used again).

    Raises:
        ProfileError: nothing changed.
    """
    if not os.path.lexists(store_path):
        raise ProfileError(f"{store_path} is not in the store any more; build the environment again")
    try:
        profile.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise _profile_error(explain_os_error("switching the environment", problem)) from problem
    _check("switching the environment", _run(runtime, ["nix-env", "-p", str(profile), "--set", store_path]))
    now = live(profile)
    if now is None or now.store_path != store_path:
        raise ProfileError(f"{profile.name} does not show {store_path} after the switch: somebody else switched it")
    return now.generation


def switch(runtime: NixRuntime, profile: Path, number: int) -> None:
    """Make the existing generation ``number`` live.

    Raises:
        ProfileError: there is none, or the switch failed; nothing changed.
    """
    if all(generation.generation != number for generation in generations(profile)):
        raise ProfileError(f"{profile.name} has no generation {number}")
    _check("switching the environment", _run(runtime, ["nix-env", "-p", str(profile), "--switch-generation", str(number)]))


def live(profile: Path) -> Live | None:
    """What ``profile`` shows at this moment; ``None`` before its first generation. Two readlinks, no subprocess."""
    try:
        link = os.path.basename(os.readlink(profile))
        number = _number(profile, link)
        return None if number is None else Live(number, os.readlink(profile.parent / link))
    except FileNotFoundError:
        return None


def generations(profile: Path) -> list[Live]:
    """Every generation that ``profile`` can be switched to, oldest first."""
    try:
        names = os.listdir(profile.parent)
    except FileNotFoundError:
        return []
    found = ((number, name) for name in names if (number := _number(profile, name)) is not None)
    return [Live(number, os.readlink(profile.parent / name)) for number, name in sorted(found)]


def _number(profile: Path, link: str) -> int | None:
    """The number in ``<profile>-<number>-link``."""
    matched = re.fullmatch(rf"{re.escape(profile.name)}-([0-9]+)-link", link)
    return int(matched[1]) if matched else None


def _run(runtime: NixRuntime, argv: Sequence[str], *, wrapped: bool = False) -> Ended:
    """Run one of Nix's programs; only what starts a builder needs the wrapper."""
    try:
        command = runtime.wrap(argv) if wrapped else [runtime.tool(argv[0]), *argv[1:]]
        return call(command, runtime.env, CALL_SECONDS)
    except NixMissing as problem:
        raise ProfileError(str(problem)) from None
    except subprocess.TimeoutExpired:
        raise ProfileError(f"{argv[0]} took longer than {CALL_SECONDS:.0f} s and was stopped; try again", Kind.TIMEOUT) from None
    except OSError as problem:
        raise _profile_error(explain_os_error(f"starting {argv[0]}", problem)) from problem


def _check(what: str, ended: Ended) -> None:
    if failure := explain_call(what, ended):
        raise _profile_error(failure)


def _profile_error(failure: Failure) -> ProfileError:
    return ProfileError(failure.text, failure.kind)


def _split(runtime: NixRuntime, path: str) -> tuple[str, str]:
    """(store path, the file in it) of a path below the store."""
    package, _, file = path.removeprefix(f"{runtime.store_dir}/").partition("/")
    return f"{runtime.store_dir}/{package}", file
