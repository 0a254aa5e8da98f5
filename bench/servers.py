"""Servers under measurement: started on a core, stopped for the moment while another is measured, and gone at the end."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from example.config import Settings

ROOT = Path(__file__).resolve().parents[1]
SERVICE = "example.server:app"
START_TIMEOUT = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


class ServerFailed(Exception):
    """A server did not start; the text is the end of its log."""


def cores() -> tuple[int, int]:
    """The core that servers run on, and the one for the load (the same on a machine of one)."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def plain_environment() -> dict[str, str]:
    """This process's environment without any setting of the service: it is measured in its default configuration."""
    ours = {name.upper() for name in Settings.model_fields} | {"NIX_PATH"}
    return {name: value for name, value in os.environ.items() if name.upper() not in ours} | {"PYTHONPATH": str(ROOT)}


@dataclass
class Server:
    """One uvicorn process with one worker. ``core`` pins it, threads included; what it logs goes to ``folder/server.log``."""

    app: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    core: int | None = None
    health: str = "/health"
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self.process is not None, "started"
        return self.process.pid

    def start(self) -> float:
        """Start it; answers the seconds from there to its first answered request.

        Raises:
            ServerFailed: it ended, or took too long.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "uvicorn", self.app, "--port", str(self.port), "--no-access-log"]
        if self.core is not None:
            argv = ["taskset", "-c", str(self.core), *argv]
        began = time.monotonic()
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                argv, cwd=self.folder, env=plain_environment() | self.settings, stdout=log, stderr=log, start_new_session=True
            )
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() - began > START_TIMEOUT:
                raise ServerFailed(f"{self.app} did not start:\n{(self.folder / 'server.log').read_text(errors='replace')[-2000:]}")
            time.sleep(0.005)
        return time.monotonic() - began

    def _answers(self) -> bool:
        try:
            return request(self.port, "GET", self.health)[0] == 200
        except OSError:
            return False

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let it stand still while something else is measured: an idle service still looks for jobs."""
        os.killpg(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.pid, signal.SIGCONT)

    def cpu_seconds(self) -> float:
        """Processor time that it has used so far, in user and kernel mode."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_mb(self) -> float:
        """Its resident memory (VmRSS)."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

    def stop(self) -> None:
        """Ask it to end, and make sure of it."""
        if self.process is None:
            return
        for number in (signal.SIGCONT, signal.SIGTERM):
            _signal(self.pid, number)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _signal(self.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def request(port: int, method: str, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@contextmanager
def running(*servers: Server) -> Iterator[None]:
    """All of them, one started after the other, standing still until they are wanted."""
    try:
        for server in servers:
            server.start()
        yield
    finally:
        for server in servers:
            server.stop()
