"""The store: sizes, soundness, garbage."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from example.config import Settings
from example.nix import store
from example.nix.lock import store_lock
from example.nix.profile import build_environment, live, set_profile
from example.nix.running import Ended
from example.nix.runtime import NixRuntime
from example.nix.store import Collected, StoreError, closure_size, collect_garbage, verify
from example.sources.nix import NixSource
from tests.nixstore import fetch, make_settings


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    """A store of its own, for tests that collect."""
    return make_settings(tmp_path)


def test_a_closure_counts_what_the_package_needs_once(own: Settings) -> None:
    user, tool = fetch(own, "user"), fetch(own, "tool", "3.0", 2)
    runtime = NixRuntime.of(own)
    assert user.size == closure_size(runtime, [user.path]) == closure_size(runtime, [user.path, tool.path])
    assert user.size and tool.size and user.size > tool.size > 0


def test_a_database_that_cannot_be_read_gives_no_size(own: Settings, tmp_path: Path) -> None:
    runtime = NixRuntime.of(own)
    assert closure_size(runtime, ["/x"]) is None
    fetch(own, "tool", "3.0")
    assert closure_size(runtime, ["/x"]) is None
    with closing(sqlite3.connect(runtime.state_dir / "db/db.sqlite")) as database:
        database.execute("ALTER TABLE ValidPaths RENAME COLUMN narSize TO other")
    assert closure_size(runtime, ["/x"]) is None


def test_what_is_rooted_or_live_survives_a_collection_and_what_is_forgotten_goes(own: Settings) -> None:
    runtime = NixRuntime.prepare(own)
    kept, several, dropped = fetch(own, "user"), fetch(own, "several", "1.0", 12), fetch(own, "tool", "2.0", 1)
    installed = fetch(own, "clash", "1.0", 5)
    profile = runtime.environments / "1/profile"
    set_profile(runtime, profile, build_environment(runtime, [installed.path]))
    kept = fetch(own, "user", "1.0", 121)
    for package_id in (1, 5):
        NixSource.from_settings(own).forget(package_id)
    said = list[str]()
    collected = collect_garbage(runtime, said.append)
    assert all(os.path.exists(path) for path in (*several.outputs, kept.path, installed.path))
    now = live(profile)
    assert now and os.path.exists(now.store_path) and not os.path.exists(dropped.path)
    assert collected.paths and collected.bytes and any("deleting" in line for line in said)


def test_a_collection_waits_for_work_that_is_under_way(own: Settings) -> None:
    runtime = NixRuntime.prepare(own)
    done = threading.Event()

    def collect() -> None:
        collect_garbage(runtime)
        done.set()

    with store_lock(own.data_dir).shared():
        collector = threading.Thread(target=collect)
        collector.start()
        assert not done.wait(0.3)
    collector.join(10)
    assert done.is_set()


def test_without_a_readable_database_a_collection_still_collects(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_ask", lambda *_: None)
    assert collect_garbage(NixRuntime.prepare(own)) == Collected(None, None)


def test_a_sound_store_has_no_problems_and_a_changed_path_is_one(own: Settings) -> None:
    tool = fetch(own, "tool", "3.0")
    runtime = NixRuntime.of(own)
    assert verify(runtime, contents=True) == []
    program = Path(tool.path, "bin/tool")
    program.chmod(0o644)
    program.write_text("changed")
    problems = verify(runtime, contents=True)
    assert problems and "was modified" in problems[0] and tool.path in problems[0]


def test_a_failing_check_or_collection_is_an_error(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = NixRuntime.prepare(own)
    monkeypatch.setattr(store, "call", lambda *_: Ended(1, "", "database is locked"))
    with pytest.raises(StoreError, match="database is locked"):
        verify(runtime)
    with pytest.raises(StoreError, match="database is locked"):
        collect_garbage(runtime)


def test_a_call_that_takes_too_long_is_an_error(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "VERIFY_SECONDS", 0.0001)
    with pytest.raises(StoreError, match="could not do its work"):
        verify(NixRuntime.prepare(own))
