"""The store's lock: shared work, lonely collections, and no starvation."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from example.nix.lock import store_lock

HOLDER = """
import sys, time
from pathlib import Path
from example.nix.lock import store_lock
with store_lock(Path(sys.argv[1])).shared():
    print("held", flush=True)
    time.sleep(60)
"""


def hold_shared(folder: Path, ready: threading.Event, release: threading.Event) -> None:
    with store_lock(folder).shared():
        ready.set()
        release.wait(10)


def test_work_goes_on_side_by_side(tmp_path: Path) -> None:
    with store_lock(tmp_path).shared(), store_lock(tmp_path).shared(timeout=0):
        pass


def test_a_collection_waits_for_work_and_gives_up_in_time(tmp_path: Path) -> None:
    with store_lock(tmp_path).shared(), pytest.raises(TimeoutError, match="in use"), store_lock(tmp_path).exclusive(timeout=0.1):
        pass
    with store_lock(tmp_path).exclusive(timeout=0):
        pass


def test_work_waits_for_a_collection(tmp_path: Path) -> None:
    with store_lock(tmp_path).exclusive(), pytest.raises(TimeoutError), store_lock(tmp_path).shared(timeout=0.1):
        pass
    with store_lock(tmp_path).shared(timeout=0):
        pass


def test_two_collections_exclude_each_other(tmp_path: Path) -> None:
    with store_lock(tmp_path).exclusive(), pytest.raises(TimeoutError), store_lock(tmp_path).exclusive(timeout=0):
        pass


def test_a_waiting_collection_lets_nobody_new_in(tmp_path: Path) -> None:
    ready, release, order = threading.Event(), threading.Event(), list[str]()

    def collect() -> None:
        with store_lock(tmp_path).exclusive():
            order.append("collected")

    worker = threading.Thread(target=hold_shared, args=(tmp_path, ready, release))
    worker.start()
    assert ready.wait(5)
    collector = threading.Thread(target=collect)
    collector.start()
    time.sleep(0.2)
    with pytest.raises(TimeoutError), store_lock(tmp_path).shared(timeout=0.1):
        pass
    release.set()
    with store_lock(tmp_path).shared():
        order.append("worked")
    collector.join(5)
    worker.join(5)
    assert order == ["collected", "worked"]


def test_waiting_does_not_block_the_event_loop_and_can_be_cancelled(tmp_path: Path) -> None:
    async def acquire() -> None:
        async with store_lock(tmp_path).shared_async():
            pass

    async def scenario() -> None:
        with store_lock(tmp_path).exclusive():
            waiting = asyncio.create_task(acquire())
            await asyncio.sleep(0.12)
            assert not waiting.done()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await asyncio.wait_for(acquire(), 1)

    asyncio.run(scenario())


def test_a_killed_process_frees_the_lock(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path(__file__).resolve().parents[2]
    ) as worker:
        assert worker.stdout and worker.stdout.readline() == b"held\n"
        with pytest.raises(TimeoutError), store_lock(tmp_path).exclusive(timeout=0):
            pass
        worker.kill()
    with store_lock(tmp_path).exclusive(timeout=1):
        pass


def test_a_lock_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "nix").write_text("a file")
    with pytest.raises(OSError, match="nix"), store_lock(tmp_path).shared():
        pass


def test_a_collection_that_cannot_open_its_second_file_leaves_the_turnstile(tmp_path: Path) -> None:
    (tmp_path / "nix/store.lock").mkdir(parents=True)
    with pytest.raises(OSError, match=r"store\.lock"), store_lock(tmp_path).exclusive():
        pass
    (tmp_path / "nix/store.lock").rmdir()
    with store_lock(tmp_path).shared(timeout=0):
        pass
