"""Running processes: reading all, and leaving none behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from asyncio.subprocess import Process
from typing import Any

import pytest

from example.nix import running
from example.nix.running import Ended, call, follow
from tests.nixstore import eventually, processes

ENV = {"PATH": os.environ["PATH"]}


def test_output_and_errors_are_read_side_by_side_whatever_their_size() -> None:
    heard = bytearray()
    script = "import os; [(os.write(2, b'e' * 65536), os.write(1, b'o' * 65536)) for _ in range(64)]"
    ended = asyncio.run(follow([sys.executable, "-c", script], ENV, heard.extend))
    assert len(heard) == 64 * 65536
    assert ended == Ended(0, "o" * running.LONGEST_OUTPUT)


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "GRACE_SECONDS", 0.5)
    began = time.monotonic()

    async def scenario() -> None:
        heard = asyncio.Event()
        task = asyncio.create_task(follow(["sh", "-c", "trap '' TERM; echo >&2; sleep 43211; sleep 43211"], ENV, lambda _: heard.set()))
        await heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert eventually(lambda: not processes("43211")) and time.monotonic() - began < 5


def test_a_second_cancellation_kills_at_once() -> None:
    async def scenario() -> None:
        heard = asyncio.Event()
        task = asyncio.create_task(
            follow(["sh", "-c", "trap '' TERM; echo >&2; while :; do sleep 0.1; done; : 43212"], ENV, lambda _: heard.set())
        )
        await heard.wait()
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0.2)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 3)

    asyncio.run(scenario())
    assert eventually(lambda: not processes("43212"))


def test_a_cancellation_while_the_process_starts_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    create = asyncio.create_subprocess_exec

    async def slowly(*argv: str, **options: Any) -> Process:
        process = await create(*argv, **options)
        await asyncio.sleep(0.2)
        return process

    async def scenario() -> None:
        task = asyncio.create_task(follow(["sleep", "43213"], ENV, lambda _: None))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    monkeypatch.setattr(asyncio, "create_subprocess_exec", slowly)
    asyncio.run(scenario())
    assert not processes("43213")


def test_a_listener_that_fails_ends_the_process() -> None:
    def fail(_: bytes) -> None:
        raise RuntimeError("listener")

    with pytest.raises(RuntimeError, match="listener"):
        asyncio.run(follow(["sh", "-c", "echo >&2; exec sleep 43214"], ENV, fail))
    assert not processes("43214")


def test_signals_to_a_process_that_is_gone_are_no_error() -> None:
    async def scenario() -> None:
        process = await asyncio.create_subprocess_exec("true")
        await process.wait()
        running._signal_group(process, signal.SIGTERM)

    asyncio.run(scenario())


def test_a_short_call_returns_all_and_is_killed_when_it_takes_too_long() -> None:
    assert call(["sh", "-c", "echo out; echo err >&2; exit 3"], ENV, 5) == Ended(3, "out\n", "err\n")
    with pytest.raises(subprocess.TimeoutExpired):
        call(["sleep", "43215"], ENV, 0.1)
    assert not processes("43215")
