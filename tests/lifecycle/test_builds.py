"""What a worker does when the world around the build fails: the database is away, the lock can't be made, a predecessor still ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from example.db import Database
from example.jobs.file_lock import remove_lock, try_lock
from example.lifecycle import builds, downloads
from example.lifecycle.job_log import JobLogWriter
from example.models import Package
from tests.lifecycle.scripted import Held, core_of, gives, script
from tests.nixstore import eventually
from tests.service import Service, expect


def test_a_database_that_is_away_at_the_end_does_not_lose_the_artifact(working: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "LONGEST_PAUSE_SECONDS", 0.1)
    held = Held()
    script(working, held)
    package_id = working.create()
    expect(working.post(f"/package/{package_id}/download"), 202)
    assert held.begun.wait(10)
    really, refused = downloads.succeed, 0

    def away(session: Session, *arguments: Any) -> bool:
        nonlocal refused
        refused += 1
        if refused < 4:
            raise OperationalError("UPDATE", None, Exception("the database is away"))
        return really(session, *arguments)

    monkeypatch.setattr(downloads, "succeed", away)
    held.go_on.set()
    assert working.until(package_id)["status"] == "downloaded"
    assert refused == 4


def test_a_mistake_in_the_last_transaction_is_not_tried_for_ever(working: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    script(working, gives())

    def wrong(*_: object) -> bool:
        raise IntegrityError("UPDATE", None, Exception("no such thing"))

    monkeypatch.setattr(downloads, "succeed", wrong)
    package = working.download(working.create())
    assert package["status"] == "failed" and "IntegrityError" in package["error"]


def test_a_lock_that_cannot_be_made_fails_with_that_reason(working: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    script(working, gives())

    def full(_: Path) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(builds, "try_lock", full)
        package = working.download(working.create())
    assert package["status"] == "failed" and "the disk" in package["error"] and "is full" in package["error"]
    assert working.download(package["id"])["status"] == "downloaded"


def test_a_log_that_cannot_be_written_meanwhile_does_not_hide_how_the_download_ended(
    working: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(_: object) -> None:
        raise OperationalError("INSERT", None, Exception("full"))

    script(working, gives())
    monkeypatch.setattr(JobLogWriter, "flush", refuses)
    assert working.download(working.create())["status"] == "downloaded"


def test_a_job_of_a_package_that_is_gone_ends_quietly(working: Service) -> None:
    held = Held()
    source = script(working, held)
    core = core_of(working)
    package_id = working.create()
    task_id = expect(working.post(f"/package/{package_id}/download"), 202)["task_id"]
    assert held.begun.wait(10)

    def vanish(session: Session) -> None:
        package = session.get_one(Package, package_id)
        session.delete(package)

    core.database.transact(vanish)
    held.go_on.set()
    assert eventually(lambda: core.queue.ended([task_id]) == {task_id: "SUCCESS"})
    assert source.forgotten == [package_id]
    assert expect(working.get(f"/jobs/{task_id}"), 200)["state"] == "succeeded"


def test_a_run_that_waits_for_its_predecessor_and_is_no_longer_wanted_fetches_nothing(working: Service) -> None:
    held = Held()
    source = script(working, held)
    core, package_id = core_of(working), working.create()
    lock = try_lock(path_of_lock(working, package_id))
    assert lock is not None
    task_id = expect(working.post(f"/package/{package_id}/download"), 202)["task_id"]
    assert eventually(lambda: list(core.queue.running()) == [task_id])
    core.database.transact(lambda session: downloads.fail(session, task_id, "ended elsewhere"))
    remove_lock(path_of_lock(working, package_id), lock)
    assert eventually(lambda: core.queue.ended([task_id]) == {task_id: "SUCCESS"})
    assert source.fetches == 0


def path_of_lock(service: Service, package_id: int) -> Path:
    """The lock of a package."""
    path: Path = service.settings.data_dir / "locks" / f"package-{package_id}"
    path.parent.mkdir(exist_ok=True)
    return path


def test_waiting_for_the_lock_can_be_cancelled(tmp_path: Path) -> None:
    held = try_lock(tmp_path / "lock")
    assert held is not None

    async def wait() -> None:
        async with builds._only_one(tmp_path / "lock"):
            raise AssertionError("both held it")

    async def cancel() -> None:
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0.15)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(cancel())
    remove_lock(tmp_path / "lock", held)
    assert try_lock(tmp_path / "lock") is not None


def test_a_transaction_is_tried_again_until_the_database_is_back(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "FIRST_PAUSE_SECONDS", 0.001)
    tries = 0

    class Away:
        @staticmethod
        def transact(work: Callable[[Any], int]) -> int:
            nonlocal tries
            tries += 1
            if tries < 5:
                raise OperationalError("BEGIN", None, Exception("away"))
            return work(None)

    database: Any = Away()
    assert isinstance(core_of(service).database, Database)
    bench = builds.Workbench(database, {}, service.settings.data_dir, 1)
    assert asyncio.run(builds._write_down(bench, lambda _: 7)) == 7
    assert tries == 5
