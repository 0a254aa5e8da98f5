"""Load from wrk: as many connections as wanted, each sending its next request when its last is answered."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# The requests are written out beforehand: picking one costs nothing beside sending it. Counts come back as JSON.
_SCRIPT = """
local prepared, at = {}, 0
function init(arguments)
  for line in io.lines(arguments[1]) do
    prepared[#prepared + 1] = wrk.format("GET", line, { ["Authorization"] = "Bearer " .. arguments[2] })
  end
end
function request()
  at = at % #prepared + 1
  return prepared[at]
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('RESULT {"requests": %d, "microseconds": %d, "p50": %f, "p99": %f, "errors": %d}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Load:
    """What came back. Times in milliseconds; ``errors`` are refused or broken connections, time-outs and statuses of 400 and above."""

    requests: int
    rate: float
    p50: float
    p99: float
    errors: int


def load(port: int, paths: Sequence[str], *, token: str, connections: int, seconds: int, core: int) -> Load:
    """Ask for ``paths`` in turn, again and again, from ``core``.

    Raises:
        RuntimeError: wrk failed.
    """
    with tempfile.TemporaryDirectory(prefix="bench-load-") as folder:
        script, lines = Path(folder, "load.lua"), Path(folder, "paths")
        script.write_text(_SCRIPT, encoding="utf-8")
        lines.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
        argv = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s", "-s", str(script)]
        argv += [f"http://127.0.0.1:{port}", "--", str(lines), token]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode:
        raise RuntimeError(f"wrk ended with code {done.returncode}: {(done.stderr or done.stdout)[-300:].strip()}")
    found = json.loads(done.stdout.rpartition("RESULT ")[2])
    rate = found["requests"] / (found["microseconds"] / 1e6)
    return Load(found["requests"], rate, found["p50"] / 1000, found["p99"] / 1000, found["errors"])
