"""Health checks: whether what has just gone live works, by running one of its programs or by asking a service on this machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from example.errors import Invalid

PROGRAM_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}$"
LONGEST_SECONDS = 60.0
SHOWN_OUTPUT = 500
_RETRY_SECONDS = 0.2


@dataclass(frozen=True)
class HealthCheck:
    """``command`` is a program of the environment's ``bin`` with its arguments, which must exit with 0; ``url`` a loopback address that must answer 2xx."""

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


def run(check: HealthCheck, environment: Path) -> None:
    """Run the check against what is live at ``environment``.

    Raises:
        Unhealthy: it failed or took longer than its time.
    """
    if check.command is not None:
        _run_command(check.command, environment / "bin", check.timeout_seconds)
    elif check.url is not None:
        _ask(check.url, check.timeout_seconds)


def _is_loopback_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        return parts.scheme == "http" and parts.username is None and (host == "localhost" or ip_address(host).is_loopback)
    except ValueError:
        return False


def _run_command(command: tuple[str, ...], folder: Path, seconds: float) -> None:
    program = folder / command[0]
    if not program.exists():
        there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        raise Unhealthy(f"there is no program {command[0]!r} in it; there are: {', '.join(there[:20]) or 'none'}")
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": f"{folder}:/usr/local/bin:/usr/bin:/bin", "HOME": home, "LANG": "C.UTF-8"}
        with tempfile.TemporaryFile() as output:
            try:
                process = subprocess.Popen(
                    [program, *command[1:]],
                    cwd=home,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise Unhealthy(f"{command[0]!r} could not be started: {error.strerror}") from error
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                _kill_group(process)
            output.seek(0)
            said = output.read(SHOWN_OUTPUT).decode(errors="replace").strip()
    if status is None:
        raise Unhealthy(f"{' '.join(command)!r} did not end within {seconds:g} seconds")
    if status != 0:
        raise Unhealthy(f"{' '.join(command)!r} ended with status {status}" + (f": {said}" if said else ""))


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _ask(url: str, seconds: float) -> None:
    deadline, said = time.monotonic() + seconds, "no answer"
    while (left := deadline - time.monotonic()) > 0:
        try:
            status = httpx.get(url, timeout=left, trust_env=False).status_code
            if 200 <= status < 300:
                return
            said = f"status {status}"
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
        time.sleep(min(_RETRY_SECONDS, max(0.0, deadline - time.monotonic())))
    raise Unhealthy(f"{url} did not answer 2xx within {seconds:g} seconds: {said}")
