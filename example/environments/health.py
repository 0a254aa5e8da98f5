"""Health checks: whether what has just gone live works, by running one of its programs or by asking a service on this machine."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from example.errors import Invalid
from example.nix.runtime import NixMissing

PROGRAM_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}$"
LONGEST_SECONDS = 60.0
SHOWN_OUTPUT = 500
_RETRY_SECONDS = 0.2


@dataclass(frozen=True)
class HealthCheck:
    """``command`` is a program of the environment's ``bin`` with its arguments, which must exit with 0; ``url`` is a loopback address that
    must answer 2xx.
    """

    command: tuple[str, ...] | None = None
    url: str | None = None
    timeout_seconds: float = 10.0


class Unhealthy(Exception):
    """The check failed; the text says how."""


def validate(check: HealthCheck) -> None:
    """Refuse a check that could run or reach anything but what was activated.

    Raises:
        Invalid.
    """
    if (check.command is None) == (check.url is None):
        raise Invalid("health_check", "give either command or url")
    if check.command is not None and (not check.command or not re.fullmatch(PROGRAM_PATTERN, check.command[0])):
        raise Invalid("health_check.command", "the first word is the name of a program in the environment's bin, without slashes")
    if check.url is not None and not _is_loopback_url(check.url):
        raise Invalid("health_check.url", f"{check.url!r} is not an http address on this machine, such as http://127.0.0.1:8080/health")


def run(check: HealthCheck, environment: Path, wrap: Callable[[Sequence[str]], list[str]]) -> None:
    """Run the check against what is live at ``environment``; ``wrap`` makes a command that leaves no process behind (``NixRuntime.wrap``).

    Raises:
        Unhealthy: it failed or took longer than its time.
    """
    if check.command is not None:
        _run_command(check.command, environment / "bin", check.timeout_seconds, wrap)
    elif check.url is not None:
        asyncio.run(_ask(check.url, check.timeout_seconds))


def _is_loopback_url(url: str) -> bool:
    try:
        httpx.URL(url)
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        return parts.scheme == "http" and parts.username is None and (host == "localhost" or ip_address(host).is_loopback)
    except (ValueError, httpx.InvalidURL):
        return False


def _run_command(command: tuple[str, ...], folder: Path, seconds: float, wrap: Callable[[Sequence[str]], list[str]]) -> None:
    program = folder / command[0]
    if not program.exists():
        there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        raise Unhealthy(f"there is no program {command[0]!r} in it; there are: {', '.join(there[:20]) or 'none'}")
    if not program.is_file() or not os.access(program, os.X_OK):
        raise Unhealthy(f"{command[0]!r} could not be started: it is not an executable file")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home, tempfile.TemporaryFile() as output:
        environment = {"PATH": f"{folder}:/usr/local/bin:/usr/bin:/bin", "HOME": home, "LANG": "C.UTF-8"}
        try:
            process = subprocess.Popen(
                wrap([str(program), *command[1:]]),
                cwd=home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, NixMissing) as error:
            raise Unhealthy(f"{command[0]!r} could not be started: {error}") from error
        status = _wait(process, seconds)
        output.seek(0)
        said = output.read(SHOWN_OUTPUT).decode(errors="replace").strip()
    if status is None:
        raise Unhealthy(f"{' '.join(command)!r} did not end within {seconds:g} seconds")
    if status != 0:
        raise Unhealthy(f"{' '.join(command)!r} ended with status {status}" + (f": {said}" if said else ""))


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Its status; ``None`` when it took too long. Nothing that it started survives."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def _ask(url: str, seconds: float) -> None:
    """Ask until the answer is 2xx. Only its status is read: a body may never end."""
    said = "no answer"
    try:
        async with asyncio.timeout(seconds), httpx.AsyncClient(trust_env=False, timeout=seconds) as client:
            while True:
                try:
                    async with client.stream("GET", url) as answer:
                        if answer.is_success:
                            return
                        said = f"status {answer.status_code}"
                except httpx.HTTPError as error:
                    said = str(error) or type(error).__name__
                await asyncio.sleep(_RETRY_SECONDS)
    except TimeoutError:
        raise Unhealthy(f"{url} did not answer 2xx within {seconds:g} seconds: {said}") from None
