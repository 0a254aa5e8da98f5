"""Nix packages: finds (name, version) in the pinned package sets and builds it, or takes it from the operator's caches.

Owns one fetch from start to end and turns what went wrong into the protocol's errors. How Nix is run and read: ``example/nix``.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import example.nix
from example.config import Settings
from example.errors import Invalid
from example.nix import naming
from example.nix.failures import Failure, Kind, explain_build, explain_os_error
from example.nix.lock import store_lock
from example.nix.pins import Pin, pins_of
from example.nix.running import follow
from example.nix.runtime import NixMissing, NixRuntime
from example.nix.store import closure_size
from example.nix.watch import BuildWatch
from example.sources.protocol import (
    Artifact,
    BuildFailed,
    FetchKilled,
    FetchRequest,
    FetchTimeout,
    NoSpace,
    NotAvailable,
    Report,
    SourceError,
    SourceUnavailable,
)

RESOLVER = Path(example.nix.__file__).resolve().parent / "resolve.nix"

ERRORS: dict[Kind, type[SourceError]] = {
    Kind.NOT_AVAILABLE: NotAvailable,
    Kind.BUILD_FAILED: BuildFailed,
    Kind.TIMEOUT: FetchTimeout,
    Kind.UNAVAILABLE: SourceUnavailable,
    Kind.NO_SPACE: NoSpace,
    Kind.KILLED: FetchKilled,
}


@dataclass(frozen=True)
class Limits:
    """How long evaluation, each build and each silence of a build may take (seconds), and how much a build may print (bytes)."""

    evaluation: float
    build: int
    silence: int
    log: int


class NixSource:
    """The source ``nix``. Making one is cheap, touches nothing and needs no Nix."""

    name: ClassVar[str] = "nix"
    name_pattern: ClassVar[str] = naming.NAME_PATTERN
    name_lengths: ClassVar[tuple[int, int]] = naming.NAME_LENGTHS
    version_pattern: ClassVar[str] = naming.VERSION_PATTERN
    version_lengths: ClassVar[tuple[int, int]] = naming.VERSION_LENGTHS

    def __init__(self, runtime: NixRuntime, pins: Sequence[Pin], limits: Limits) -> None:
        self.runtime = runtime
        self.pins = tuple(pins)
        self.limits = limits

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The source as ``settings`` describe it.

        Raises:
            ValueError: ``NIX_PINS`` can't be read.
        """
        limits = Limits(settings.nix_eval_timeout, settings.nix_build_timeout, settings.nix_silent_timeout, settings.nix_log_limit)
        return cls(NixRuntime.of(settings), pins_of(settings), limits)

    def check(self, name: str, version: str) -> None:
        """As ``Source.check``: an attribute path, and a version that starts with a digit."""
        if not naming.is_name(name):
            raise Invalid("name", f"{_quote(name)} can't be a Nix package's name: {naming.NAME_RULE}")
        if not naming.is_version(version):
            raise Invalid("version", f"{_quote(version)} can't be a version: {naming.VERSION_RULE}")

    def missing(self) -> str | None:
        """What this source lacks to fetch anything, in one line with the remedy; ``None`` when it is ready."""
        return self.runtime.missing()

    async def fetch(self, request: FetchRequest, report: Report) -> Artifact:
        """As ``Source.fetch``: one nix-build that resolves, builds and registers the roots ``<package_id>`` and ``<package_id>-<output>``.

        Spawns on the event loop's thread, and its processes die with that thread.
        """
        what = f"{request.name} {request.version}"
        try:
            self.check(request.name, request.version)
            self.runtime.write()
            report.progress(0, 0, "waiting for the store")
            async with store_lock(self.runtime.data_dir).shared_async():
                return await self._build(what, request, report)
        except Invalid as problem:
            raise NotAvailable(problem.detail) from None
        except NixMissing as problem:
            raise SourceUnavailable(str(problem)) from None
        except OSError as problem:
            raise _source_error(explain_os_error(what, problem)) from problem

    def forget(self, package_id: int) -> None:
        """As ``Source.forget``: removes the roots of this package and of no other."""
        mine = re.compile(rf"{package_id:d}(-[A-Za-z_][A-Za-z0-9_+-]*)?")
        try:
            names = [entry.name for entry in os.scandir(self.runtime.roots) if mine.fullmatch(entry.name) and entry.is_symlink()]
        except FileNotFoundError:
            return
        for name in names:
            (self.runtime.roots / name).unlink(missing_ok=True)

    async def _build(self, what: str, request: FetchRequest, report: Report) -> Artifact:
        marker = secrets.token_hex(16)
        argv = self.runtime.wrap(self._command(request, marker))
        report.progress(0, 0, "evaluating")
        deadline = asyncio.timeout(self.limits.evaluation)
        watch = BuildWatch(marker, report, lambda: None if deadline.expired() else deadline.reschedule(None))
        try:
            async with deadline:
                ended = await follow(argv, self.runtime.env, watch.feed)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise FetchTimeout(
                f"{what}: evaluating the package sets took longer than {self.limits.evaluation:g} s (NIX_EVAL_TIMEOUT) and was stopped"
            ) from None
        watch.end()
        if failure := explain_build(what, [pin.name for pin in self.pins], ended, watch):
            raise _source_error(failure)
        chosen = watch.resolution.chosen
        assert chosen is not None, "explain_build finds a failure otherwise"
        outputs = tuple(dict.fromkeys(ended.output.splitlines()))
        size = await asyncio.to_thread(closure_size, self.runtime, outputs)
        return Artifact(outputs[0], outputs, chosen.derivation, chosen.pin, size)

    def _command(self, request: FetchRequest, marker: str) -> list[str]:
        """The nix-build call; every value is an argument of its own and stays a string in Nix."""
        pins = [replace(pin, path=os.path.realpath(pin.path)) if pin.path else pin for pin in self.pins]
        readable = [f"{pin.name}={_folder_of(pin.path)}" for pin in pins if pin.path]
        return [
            "nix-build", str(RESOLVER), "--out-link", str(self.runtime.roots / f"{request.package_id:d}"),
            "--log-format", "internal-json",
            "--timeout", str(self.limits.build), "--max-silent-time", str(self.limits.silence),
            "--option", "max-build-log-size", str(self.limits.log),
            *(word for place in [f"resolver={RESOLVER.parent}", *readable] for word in ("-I", place)),
            "--argstr", "pins", json.dumps([asdict(pin) for pin in pins]),
            "--argstr", "name", request.name, "--argstr", "version", request.version, "--argstr", "marker", marker,
        ]  # fmt: skip


def _folder_of(path: str) -> str:
    """What evaluation may read of a pin: its folder, also when it names one file in it."""
    return os.path.dirname(path) if os.path.isfile(path) else path


def _source_error(failure: Failure) -> SourceError:
    return ERRORS[failure.kind](failure.text)


def _quote(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "…")
