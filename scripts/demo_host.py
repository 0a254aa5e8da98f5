"""Where the demo plays: a folder that is gone afterwards, and the service in it, on a port of its own.

Owns that nothing is left behind and that nothing of the user's (settings, home, proxies) has a say.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from example.config import Settings
from example.nix.runtime import NixRuntime
from scripts.demo_shell import DIM, PATIENCE, DemoError, Shell, check, indented, paint, say

ROOT = Path(__file__).resolve().parents[1]
FOREIGN = {*Settings.model_fields, "nix_path", "pkgctl_url", "pkgctl_token", "api_key", "xdg_config_home", "curl_home"}


def free_port(wanted: int = 8000) -> int:
    """``wanted`` if nobody listens there, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does: connections that have just ended don't count
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise DemoError("no port of 127.0.0.1 is free")


def prepare(folder: Path) -> dict[str, str]:
    """The variables of all that the demo starts, in a home of its own, with ``pkgctl`` on PATH.

    Raises:
        DemoError: Nix is missing.
    """
    for name in [name for name in os.environ if name.lower() in FOREIGN or name.lower().endswith("_proxy")]:
        del os.environ[name]
    missing = NixRuntime.of(Settings(_env_file=None, data_dir=folder)).missing()
    check(missing is None, str(missing))
    for name in ("bin", "home"):
        (folder / name).mkdir()
    beside = Path(sys.executable).parent
    if not (beside / "pkgctl").exists():  # dependencies only, the service not installed
        program = folder / "bin/pkgctl"
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m example.cli.pkgctl.main "$@"\n')
        program.chmod(0o755)
    path = f"{folder / 'bin'}:{beside}:{os.environ.get('PATH', os.defpath)}"
    modules = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "HOME": str(folder / "home"), "PATH": path, "PYTHONPATH": modules, "PYTHONUNBUFFERED": "1"}


@contextmanager
def serving(folder: Path, shell: Shell) -> Iterator[None]:
    """The service on a port of its own; it dies with this program, whatever happens to it."""
    port = free_port()
    say("  A database, a Nix store and a port of its own; the package set is the bundled one (example/nix/demo).")
    places = {"DATA_DIR": f"{folder}/data", "NIX_ROOT": f"{folder}/data/root"}
    command = f"uvicorn example.server:app --port {port} --no-access-log"
    shell.show(" ".join(f"{name}={shlex.quote(place)}" for name, place in places.items()) + f" {command} &")
    argv = ["setpriv", "--pdeathsig", "TERM", sys.executable, "-m", *command.split()]
    env = shell.env | places
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(argv, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        shell.let("API", f"http://127.0.0.1:{port}/api/v1")
        started, deadline = time.monotonic(), time.monotonic() + PATIENCE
        while True:
            with suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).is_success:
                    break
            check(process.poll() is None, f"the service ended with status {process.poll()} instead of starting")
            check(time.monotonic() < deadline, f"the service does not answer after {PATIENCE:g} s")
            time.sleep(0.05)
        say(indented(paint(f"answers after {time.monotonic() - started:.1f} s; Swagger UI: http://127.0.0.1:{port}/docs", DIM)))
        yield
    except (DemoError, subprocess.TimeoutExpired):
        said = (folder / "server.log").read_text(errors="replace").splitlines()[-15:]
        print("demo: the service's last words:", *said, sep="\n  ", file=sys.stderr)
        raise
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def own_folder() -> Iterator[Path]:
    """A temporary folder that is gone afterwards, Nix's read-only store included. Ctrl-C doesn't stop the clearing up."""
    folder = Path(tempfile.mkdtemp(prefix="package-master-demo-")).resolve()
    try:
        yield folder
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for parent, _, _ in os.walk(folder):
            os.chmod(parent, 0o700)  # a store's folders can't be written
        shutil.rmtree(folder)
