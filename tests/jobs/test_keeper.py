"""The keeper: who is dead, what is done about it, and that nothing ends the watch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from example.config import Settings
from example.db import Database
from example.jobs import keeper as keepers
from example.jobs.keeper import Keeper
from tests.nixstore import eventually


class Fakes:
    """A queue and leases of a test's own making."""

    def __init__(self) -> None:
        self.jobs: dict[str, str] = {}
        self.free: set[str] = set()
        self.mine, self.can_take = True, True
        self.purged: list[datetime] = []
        self.swept = 0

    def running(self) -> dict[str, str]:
        return self.jobs

    def purge(self, before: datetime) -> None:
        self.purged.append(before)

    def held(self) -> bool:
        return self.mine

    def take(self, executor_id: str) -> bool:
        return self.can_take

    def is_free(self, executor_id: str) -> bool:
        return executor_id in self.free

    def sweep(self) -> None:
        self.swept += 1


@pytest.fixture
def fakes() -> Fakes:
    """What the keeper looks at."""
    return Fakes()


@pytest.fixture
def make(fakes: Fakes, settings: Settings) -> Callable[..., Keeper]:
    """A keeper of these fakes, not started."""

    def keeper(reconcile: Callable[[], None] = lambda: None) -> Keeper:
        database: Any = Database(settings)
        return Keeper(settings, database, fakes, fakes, "me", reconcile, fakes.purge)  # type: ignore[arg-type]

    return keeper


@pytest.fixture
def recovered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The executors that a helper process was started for."""
    found: list[str] = []

    def run(argv: list[str], *, input: str, **_: object) -> None:
        assert argv[-2:] == ["-m", "example.jobs.recover"] and "@" not in " ".join(argv)
        found.append(json.loads(input)["executor_id"])
        if found[-1] == "stubborn":
            raise subprocess.TimeoutExpired(argv, 60)

    monkeypatch.setattr(subprocess, "run", run)
    return found


def test_an_executor_is_dead_when_its_lease_is_free_twice_in_a_row(make: Callable[..., Keeper], fakes: Fakes, recovered: list[str]) -> None:
    keeper = make()
    fakes.jobs, fakes.free = {"job": "other"}, {"other"}
    keeper._recover_the_dead()
    assert recovered == []
    keeper._recover_the_dead()
    assert recovered == ["other"]


def test_an_executor_whose_lease_is_held_in_between_lives(make: Callable[..., Keeper], fakes: Fakes, recovered: list[str]) -> None:
    keeper = make()
    fakes.jobs = {"job": "other"}
    for free in ({"other"}, set(), {"other"}, set()):
        fakes.free = free
        keeper._recover_the_dead()
    assert recovered == []


def test_nobody_recovers_himself(make: Callable[..., Keeper], fakes: Fakes, recovered: list[str]) -> None:
    keeper = make()
    fakes.jobs, fakes.free = {"job": "me"}, {"me"}
    for _ in range(3):
        keeper._recover_the_dead()
    assert recovered == []


def test_one_that_cannot_be_recovered_does_not_hold_up_the_others(make: Callable[..., Keeper], fakes: Fakes, recovered: list[str]) -> None:
    keeper = make()
    fakes.jobs, fakes.free = {"a": "stubborn", "b": "zz"}, {"stubborn", "zz"}
    for _ in range(3):
        keeper._recover_the_dead()
    assert recovered == ["stubborn", "zz"] * 2


def test_a_lease_that_is_lost_is_taken_again(make: Callable[..., Keeper], fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *what: killed.append(what))
    keeper = make()
    fakes.mine = False
    for _ in range(20):
        keeper._keep_lease()
    assert killed == []


def test_a_process_whose_lease_another_holds_for_good_ends_itself(
    make: Callable[..., Keeper], fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *what: killed.append(what))
    keeper = make()
    fakes.mine = fakes.can_take = False
    for _ in range(keepers.LOST_LEASE_ROUNDS - 1):
        keeper._keep_lease()
    fakes.mine = True
    keeper._keep_lease()
    fakes.mine = False
    for _ in range(keepers.LOST_LEASE_ROUNDS - 1):
        keeper._keep_lease()
    assert killed == []
    keeper._keep_lease()
    assert killed == [(os.getpid(), signal.SIGTERM)]


def test_a_duty_that_fails_does_not_end_the_watch(make: Callable[..., Keeper], fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "INTERVAL_SECONDS", 0.01)
    rounds = 0

    def fails() -> None:
        nonlocal rounds
        rounds += 1
        raise RuntimeError("again and again")

    keeper = make(fails)
    keeper.start()
    assert eventually(lambda: rounds > 3)
    assert keeper.alive()
    keeper.stop()
    assert not keeper.alive()


def test_what_is_old_is_purged_at_intervals(make: Callable[..., Keeper], fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "FIRST_PURGE_SECONDS", 0.0)
    keeper = make()
    keeper._purge()
    keeper._purge()
    assert len(fakes.purged) == 2, "the engine's rows and ours, once"
    assert fakes.swept == 1
