"""Locks that are files, and the leases made of them and of PostgreSQL's sessions."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from example.jobs.file_lock import remove_lock, try_lock


def test_one_holds_the_lock_at_a_time(tmp_path: Path) -> None:
    held = try_lock(tmp_path / "lock")
    assert held is not None and try_lock(tmp_path / "lock") is None
    os.close(held)
    again = try_lock(tmp_path / "lock")
    assert again is not None
    os.close(again)


def test_a_removed_lock_leaves_no_file(tmp_path: Path) -> None:
    held = try_lock(tmp_path / "lock")
    assert held is not None
    remove_lock(tmp_path / "lock", held)
    assert list(tmp_path.iterdir()) == []


def test_without_create_a_lock_that_is_not_there_stays_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        try_lock(tmp_path / "lock", create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("successor", [False, True])
def test_who_locks_a_file_that_was_removed_meanwhile_takes_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, successor: bool
) -> None:
    path, really = tmp_path / "lock", fcntl.flock
    calls = 0

    def slow(file: int, operation: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            path.unlink()
            if successor:
                path.touch()
        really(file, operation)

    monkeypatch.setattr(fcntl, "flock", slow)
    held = try_lock(path)
    assert held is not None and os.path.samestat(os.fstat(held), path.stat()) and calls == 2
    os.close(held)


def test_many_threads_that_remove_the_file_never_hold_it_together(tmp_path: Path) -> None:
    inside, together, taken = 0, 0, 0
    counting = threading.Lock()

    def work() -> None:
        nonlocal inside, together, taken
        mine = 0
        while mine < 50:
            held = try_lock(tmp_path / "lock")
            if held is None:
                continue
            mine += 1
            with counting:
                inside += 1
                together = max(together, inside)
            with counting:
                inside -= 1
                taken += 1
            remove_lock(tmp_path / "lock", held)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (together, taken) == (1, 200)
