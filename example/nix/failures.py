"""Why a Nix call failed, in words for the user: judges exit code and messages.

Pure. Nix's exit codes mix things up (1 is an evaluation error, a full disk, an interruption or too long a log), so its words decide
first. They are those of Nix 2.8 to today's and of Lix; what matches none is shown as it is.
"""

from __future__ import annotations

import errno
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from example.nix.naming import version_key
from example.nix.resolution import Available
from example.nix.running import Ended
from example.nix.watch import BuildWatch, derivation_name

LISTED_VERSIONS = 20
LONGEST_TEXT = 2_000

_NO_SPACE = re.compile(r"No space left on device|database or disk is full|Disk quota exceeded")
_UNWRITABLE = re.compile(
    r"Permission denied|Read-only file system|Operation not permitted|unable to open database file|readonly database"
    r"|remounting \S+ writable"
)
_NO_SANDBOX = re.compile(
    r"required for sandboxing|unable to start build process|(?:private|user|mount|PID) namespace|^(?:unshare|setpriv): ", re.MULTILINE
)
_OFFLINE = re.compile(r"unable to download|Couldn't resolve host|Could not resolve host|unable to check if path|cannot connect to")
_BUILDER_FAILED = re.compile(r"(?:builder for|[Cc]annot build) '(?P<derivation>[^']*\.drv)'")
_TIMED_OUT = re.compile(r"timed out after (?:no output for )?\d+ seconds(?P<silence> of silence)?")
_LOG_LIMIT = re.compile(r"killed after writing more than (?P<bytes>\d+) bytes of log output")

# util-linux up to 2.38 stumbles when it passes on the SIGKILL that ended its child (an OOM kill, say), and exits with 1.
_UNSHARE_CANNOT_DIE = "unshare: sigprocmask unblock failed"

# Nix while it sets the sandbox up, when its helper or builder is killed under it.
_BUILDER_VANISHED = re.compile(
    r"unexpected EOF reading a line|killing process \d+: No such process|getting sandbox \w+ namespace: No such file or directory"
)


class Kind(StrEnum):
    """What kind of failure it is; one each for what callers do about it."""

    NOT_AVAILABLE = "not_available"
    BUILD_FAILED = "build_failed"
    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    NO_SPACE = "no_space"
    KILLED = "killed"


@dataclass(frozen=True)
class Failure:
    """``text`` is one paragraph: what, why, and what to do; after a failed build the log's last lines follow."""

    kind: Kind
    text: str


def explain_build(what: str, pins: Sequence[str], ended: Ended, watch: BuildWatch) -> Failure | None:
    """Why the nix-build for ``what`` (``hello 2.1.0``) with these ``pins`` failed; ``None`` when it did not."""
    chosen = watch.resolution.chosen
    if ended.code == 0:
        return None if chosen and ended.output.strip() else Failure(Kind.BUILD_FAILED, f"{what}: nix-build gave no output")
    said = "\n".join([*watch.errors, *watch.plain])
    if signal_name := _killed_by(ended.code, said):
        return Failure(Kind.KILLED, f"{what}: nix-build was stopped from outside ({signal_name}); try again")
    derivation = _failed_derivation(watch)
    tail = watch.tail(derivation)
    if _NO_SPACE.search(said) or any(_NO_SPACE.search(line) for line in tail):
        return no_space(what)
    if _NO_SANDBOX.search(said):
        return Failure(
            Kind.UNAVAILABLE,
            f"{what}: Nix can't build in its sandbox here ({shorten(said)}); allow namespaces to this service (a container needs "
            "--cap-add SYS_ADMIN and an unconfined seccomp profile), packages are never built without it",
        )
    if available := watch.resolution.available:
        return Failure(Kind.NOT_AVAILABLE, f"{what} is not available; versions: {list_versions(available)}")
    if available is not None:
        return Failure(Kind.NOT_AVAILABLE, f"{what} is not available: no package of that name in {', '.join(pins)}")
    if chosen:
        return _explain_builder(what, said, derivation or chosen.derivation, chosen.derivation, tail)
    return _explain_evaluation(what, said, watch)


def _explain_builder(what: str, said: str, derivation: str, wanted: str, tail: Sequence[str]) -> Failure:
    dependency = "" if derivation == wanted else f" its dependency {derivation_name(derivation)}"
    ending = "".join(f"\n{line}" for line in tail)
    lines = f". The last lines of its log:{ending}" if tail else ""
    if timed_out := _TIMED_OUT.search(said):
        how, setting = ("was silent for", "NIX_SILENT_TIMEOUT") if "silen" in timed_out[0] or "no output" in timed_out[0] else (
            "took longer than", "NIX_BUILD_TIMEOUT")  # fmt: skip
        return Failure(Kind.TIMEOUT, f"{what}:{dependency or ' the build'} {how} the limit ({setting}): {shorten(said)}{lines}")
    if limit := _LOG_LIMIT.search(said):
        text = f"{what}:{dependency or ' the build'} wrote more than {limit['bytes']} bytes of log (NIX_LOG_LIMIT) and was stopped"
        return Failure(Kind.BUILD_FAILED, f"{text}{lines}")
    if not _BUILDER_FAILED.search(said):
        if _UNWRITABLE.search(said):
            return unwritable(what, said)
        if _OFFLINE.search(said):
            return Failure(Kind.UNAVAILABLE, f"{what}: a download failed ({shorten(said)}); check the network and NIX_SUBSTITUTERS")
    return Failure(Kind.BUILD_FAILED, f"{what}{dependency and ':' + dependency} failed to build: {shorten(said)}{lines}")


def _explain_evaluation(what: str, said: str, watch: BuildWatch) -> Failure:
    if watch.resolution.matched:
        return Failure(Kind.BUILD_FAILED, f"{what} ({watch.resolution.matched}) can't be evaluated: {shorten(said)}")
    if watch.resolution.opening:
        pin = watch.resolution.opening
        return Failure(Kind.UNAVAILABLE, f"{what}: the package set {pin!r} (NIX_PINS) can't be evaluated: {shorten(said)}")
    if _UNWRITABLE.search(said):
        return unwritable(what, said)
    return Failure(Kind.UNAVAILABLE, f"{what}: nix-build failed: {shorten(said) or 'it said nothing'}")


def explain_call(what: str, ended: Ended) -> Failure | None:
    """Why a short Nix call failed, by its exit code and standard error; ``None`` when it did not."""
    if ended.code == 0:
        return None
    said = ended.errors
    if signal_name := _killed_by(ended.code, said):
        return Failure(Kind.KILLED, f"{what}: Nix was stopped from outside ({signal_name}); try again")
    if _NO_SPACE.search(said):
        return no_space(what)
    if _UNWRITABLE.search(said) and ended.code != 100:
        return unwritable(what, said)
    return Failure(Kind.UNAVAILABLE, f"{what}: {shorten(said) or f'Nix ended with code {ended.code}'}")


def explain_os_error(what: str, problem: OSError) -> Failure:
    """Why this service could not even begin."""
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_space(what)
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return unwritable(what, str(problem))
    return Failure(Kind.UNAVAILABLE, f"{what}: {problem}")


def no_space(what: str) -> Failure:
    """The disk is full."""
    return Failure(Kind.NO_SPACE, f"{what}: the disk that holds the Nix store or its build folder is full; free some space and try again")


def unwritable(what: str, said: str) -> Failure:
    """The store or the data directory can't be written."""
    return Failure(
        Kind.UNAVAILABLE,
        f"{what}: the Nix store or the data directory can't be written ({shorten(said)}); run as a user who may, or set NIX_ROOT",
    )


def list_versions(available: Sequence[Available]) -> str:
    """``2.1.0 (demo), 2.0.0 (demo), …``: newest first, each once, at most twenty."""
    distinct = list(dict.fromkeys((entry.version, entry.pin) for entry in available))
    newest = sorted(distinct, key=lambda entry: version_key(entry[0]), reverse=True)
    listed = ", ".join(f"{version} ({pin})" for version, pin in newest[:LISTED_VERSIONS])
    return listed + (f" and {len(newest) - LISTED_VERSIONS} more" if len(newest) > LISTED_VERSIONS else "")


def shorten(said: str) -> str:
    """Nix's words without its ``error:`` marks and hints to the command line, on one line, cut."""
    lines = (line.strip().removeprefix("error:").strip() for line in said.splitlines() if "--show-trace" not in line)
    text = "; ".join(line for line in lines if line)
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"


def _failed_derivation(watch: BuildWatch) -> str:
    """The derivation that failed first: what needs it fails in its wake."""
    for error in watch.errors:
        if found := _BUILDER_FAILED.search(error) or re.search(r"'(?P<derivation>/[^'!]*\.drv)", error):
            return found["derivation"]
    return ""


def _killed_by(code: int, said: str) -> str | None:
    """The signal that ended Nix, if one did: its own, the wrapper's (a shell's 128 + n), or one that Nix caught."""
    number = -code if code < 0 else code - 128 if code in (128 + signal.SIGKILL, 128 + signal.SIGTERM) else 0
    if number:
        return signal.Signals(number).name
    if _UNSHARE_CANNOT_DIE in said or _BUILDER_VANISHED.search(said):
        return signal.SIGKILL.name
    return "interrupted" if "interrupted by the user" in said else None
