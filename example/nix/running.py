"""Runs Nix processes: one that is followed while it works (asyncio), and short ones that are waited for.

Owns spawning, reading and ending processes. What they print is others' business.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

GRACE_SECONDS = 10.0
TERM_AGAIN_SECONDS = 0.25
CHUNK = 1 << 16
LONGEST_OUTPUT = 1 << 20


@dataclass(frozen=True)
class Ended:
    """How a process ended. A negative ``code`` is the signal that killed it."""

    code: int
    output: str
    errors: str = ""


async def follow(argv: Sequence[str], env: Mapping[str, str], take_error: Callable[[bytes], None]) -> Ended:
    """Run ``argv`` to its end, handing over what it writes to standard error as it comes; of its output the first MiB is kept.

    Spawns on the calling thread. Cancelled, or failing in ``take_error``, it ends the process: SIGTERM, ten seconds to clean up, SIGKILL.

    Raises:
        OSError: it can't be started.
    """
    process = await _spawn(argv, env)
    output = bytearray()

    def take_output(chunk: bytes) -> None:
        output.extend(chunk[: LONGEST_OUTPUT - len(output)])

    reading = asyncio.ensure_future(_drain(process.stdout, take_output))
    try:
        await _drain(process.stderr, take_error)
        await reading
        code = await process.wait()
    finally:
        reading.cancel()
        if process.returncode is None:
            await _stop(process)
    return Ended(code, output.decode("utf-8", "replace"))


async def _spawn(argv: Sequence[str], env: Mapping[str, str]) -> Process:
    """Start the process; a cancellation in this moment ends it too."""
    spawning = asyncio.ensure_future(
        asyncio.create_subprocess_exec(*argv, env=env, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True, limit=4 * CHUNK)
    )
    try:
        return await asyncio.shield(spawning)
    except asyncio.CancelledError:
        await _stop(await spawning)
        raise


async def _drain(stream: asyncio.StreamReader | None, take: Callable[[bytes], None]) -> None:
    assert stream is not None, "opened as a pipe above"
    while chunk := await stream.read(CHUNK):
        take(chunk)


async def _stop(process: Process) -> None:
    """End the process and everything that it started.

    SIGTERM is sent more than once: a process that is about to become Nix can't hear it yet. What it still prints is read and dropped, or
    a full pipe would keep it from ending. Cancelled once more, it kills at once.
    """
    dropping = [asyncio.ensure_future(_drain(stream, lambda _: None)) for stream in (process.stdout, process.stderr)]
    ending = asyncio.ensure_future(process.wait())
    try:
        for _ in range(int(GRACE_SECONDS / TERM_AGAIN_SECONDS)):
            _signal_group(process, signal.SIGTERM)
            done, _ = await asyncio.wait([ending], timeout=TERM_AGAIN_SECONDS)
            if done:
                return
    finally:
        if not ending.done():
            _signal_group(process, signal.SIGKILL)
            await asyncio.wait([ending], timeout=1)
        for task in dropping:
            task.cancel()


def _signal_group(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has ended in this moment
        os.killpg(process.pid, number)


def call(argv: Sequence[str], env: Mapping[str, str], timeout: float) -> Ended:
    """Run ``argv`` to its end and return all that it said; blocks the calling thread.

    Raises:
        OSError: it can't be started.
        subprocess.TimeoutExpired: it took longer than ``timeout`` seconds and was killed.
    """
    done = subprocess.run(
        argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, start_new_session=True, check=False
    )
    return Ended(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
