"""What a source is: the one small protocol behind which every ecosystem stands.

A source checks names and versions, fetches an artifact onto this host and keeps it until it is told to forget it. It knows nothing of
packages' statuses, jobs or HTTP. A new source is one file that passes tests/sources/test_contract.py and one line in ``SOURCES``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol


@dataclass(frozen=True)
class FetchRequest:
    """What to fetch. ``package_id`` is the server's own number: it names what is kept on disk, never the user's text."""

    package_id: int
    name: str
    version: str


@dataclass(frozen=True)
class Artifact:
    """What a fetch brought.

    ``path`` is the main store path, ``outputs`` every path that an environment installs (``path`` first), ``size`` the bytes of the whole
    closure (``None`` where it can't be known), ``derivation`` and ``pin`` say where it came from.
    """

    path: str
    outputs: tuple[str, ...]
    derivation: str | None = None
    pin: str | None = None
    size: int | None = None


class Report(Protocol):
    """Where a fetch tells how it goes. Both are cheap and may be called thousands of times a second, from the event loop."""

    def log(self, text: str) -> None:
        """Add ``text`` (whole lines, ending in a newline) to the job's log."""

    def progress(self, done: int, expected: int, phase: str) -> None:
        """Say that ``done`` of ``expected`` pieces are ready and what is going on now."""


class SourceError(Exception):
    """A fetch failed. ``str(error)`` is one paragraph for the user: what, why, and what to do. ``code`` is stable."""

    code: ClassVar[str] = "fetch_failed"


class NotAvailable(SourceError):
    """No such package, or not in this version; the text lists the versions that there are."""

    code = "not_available"


class BuildFailed(SourceError):
    """The build ran and failed; the text ends with the last lines of its log."""

    code = "build_failed"


class FetchTimeout(SourceError):
    """The fetch took longer than its limit, or was silent for too long."""

    code = "timeout"


class SourceUnavailable(SourceError):
    """The tools or the store are missing, unwritable or misconfigured: nothing is wrong with the package."""

    code = "source_unavailable"


class NoSpace(SourceError):
    """The disk is full."""

    code = "no_space"


class FetchKilled(SourceError):
    """Somebody killed the process from outside: worth another try."""

    code = "killed"


class Source(Protocol):
    """One ecosystem."""

    name: ClassVar[str]
    name_pattern: ClassVar[str]
    version_pattern: ClassVar[str]

    def check(self, name: str, version: str) -> None:
        """Refuse what can't be a package of this source.

        Raises:
            example.errors.Invalid: with the field, the value and the rule.
        """

    async def fetch(self, request: FetchRequest, report: Report) -> Artifact:
        """Bring the package onto this host and keep it; safe to repeat, and safe to kill at any moment.

        Cancelling the task stops the work and leaves no process behind.

        Raises:
            NotAvailable, BuildFailed, FetchTimeout, SourceUnavailable, NoSpace, FetchKilled.
        """

    def forget(self, package_id: int) -> None:
        """Let the collector have what was kept for ``package_id``; no error when there is nothing."""
