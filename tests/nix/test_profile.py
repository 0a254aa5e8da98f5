"""Environments: built aside, switched in one rename."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from example.config import Settings
from example.nix import profile as profiles
from example.nix.failures import Kind
from example.nix.profile import EnvironmentConflict, Live, ProfileError, build_environment, generations, live, set_profile, switch
from example.nix.running import Ended
from example.nix.runtime import NixRuntime
from tests.nixstore import fetch, make_settings


@pytest.fixture
def runtime(nix_settings: Settings) -> NixRuntime:
    return NixRuntime.prepare(nix_settings)


@pytest.fixture
def profile(runtime: NixRuntime) -> Path:
    return runtime.environments / "7" / "profile"


def test_an_environment_holds_the_files_of_all_packages(nix_settings: Settings, runtime: NixRuntime) -> None:
    tool, requests = fetch(nix_settings, "tool", "3.0"), fetch(nix_settings, "python3Packages.requests", "2.31.0", 2)
    built = build_environment(runtime, [tool.path, requests.path, tool.path])
    assert sorted(os.listdir(f"{built}/bin")) == ["requests", "tool"]
    assert build_environment(runtime, [tool.path, requests.path]) == built


def test_an_environment_of_nothing_is_an_empty_one(runtime: NixRuntime) -> None:
    assert os.listdir(build_environment(runtime, [])) == ["manifest.nix"]


def test_two_packages_with_one_file_conflict_and_both_are_named(nix_settings: Settings, runtime: NixRuntime) -> None:
    tool, clash = fetch(nix_settings, "tool", "3.0"), fetch(nix_settings, "clash", "1.0", 2)
    with pytest.raises(EnvironmentConflict) as conflict:
        build_environment(runtime, [tool.path, clash.path])
    assert conflict.value.file == "bin/tool" and set(conflict.value.packages) == {tool.path, clash.path}
    assert "clash-1.0" in str(conflict.value) and "tool-3.0" in str(conflict.value) and "bin/tool" in str(conflict.value)


@pytest.mark.parametrize("name", ["0" * 32 + "-gone", "../../etc"])
def test_a_path_that_is_not_in_the_store_is_named(runtime: NixRuntime, name: str) -> None:
    with pytest.raises(ProfileError, match="not in the store any more"):
        build_environment(runtime, [f"{runtime.store_dir}/{name}"])


def test_a_path_that_the_database_does_not_know_is_an_error(runtime: NixRuntime) -> None:
    stray = runtime.store_dir / ("1" * 32 + "-stray")
    stray.mkdir(parents=True, exist_ok=True)
    with pytest.raises(ProfileError, match="stray"):
        build_environment(runtime, [str(stray)])
    with pytest.raises(ProfileError, match="building the environment|switching"):
        set_profile(runtime, runtime.environments / "1/profile", str(stray))


def test_switching_makes_generations_and_any_can_be_switched_back_to(nix_settings: Settings, runtime: NixRuntime, profile: Path) -> None:
    assert live(profile) is None and generations(profile) == []
    first = build_environment(runtime, [])
    second = build_environment(runtime, [fetch(nix_settings, "tool", "3.0").path])
    assert [set_profile(runtime, profile, path) for path in (first, second, second)] == [1, 2, 2]
    assert live(profile) == Live(2, second)
    switch(runtime, profile, 1)
    assert live(profile) == Live(1, first) and generations(profile) == [Live(1, first), Live(2, second)]


def test_a_generation_that_is_not_there_is_refused(runtime: NixRuntime, profile: Path) -> None:
    set_profile(runtime, profile, build_environment(runtime, []))
    with pytest.raises(ProfileError, match="no generation 9"):
        switch(runtime, profile, 9)


def test_readers_never_see_a_gap_while_the_profile_is_switched(nix_settings: Settings, runtime: NixRuntime, profile: Path) -> None:
    both = [
        build_environment(runtime, [fetch(nix_settings, "tool", version, number).path]) for number, version in enumerate(("3.0", "1.2"))
    ]
    set_profile(runtime, profile, both[0])
    seen, problems, stop = set[str](), list[Exception](), threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                seen.add((profile / "bin/tool").read_text().strip())
                assert live(profile) is not None
            except Exception as problem:
                problems.append(problem)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(6):
        set_profile(runtime, profile, both[1 - turn % 2])
    stop.set()
    for reader in readers:
        reader.join()
    assert not problems and seen == {"3.0", "1.2"}


def test_a_store_path_that_is_gone_is_not_switched_to(runtime: NixRuntime, profile: Path) -> None:
    with pytest.raises(ProfileError, match="build the environment again"):
        set_profile(runtime, profile, f"{runtime.store_dir}/{'0' * 32}-gone")


def test_a_switch_by_somebody_else_is_noticed(runtime: NixRuntime, profile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = build_environment(runtime, [])
    monkeypatch.setattr(profiles, "live", lambda _: Live(3, "/other"))
    with pytest.raises(ProfileError, match="somebody else"):
        set_profile(runtime, profile, built)


def test_a_folder_that_cannot_be_made_is_an_error(runtime: NixRuntime) -> None:
    (runtime.environments / "8").write_text("a file")
    with pytest.raises(ProfileError, match="switching the environment"):
        set_profile(runtime, runtime.environments / "8/profile", build_environment(runtime, []))


def test_a_profile_that_is_no_generation_is_not_live(tmp_path: Path) -> None:
    (tmp_path / "profile").symlink_to("elsewhere")
    assert live(tmp_path / "profile") is None


def test_without_nix_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProfileError, match="apt-get install nix-bin"):
        build_environment(NixRuntime.of(make_settings(tmp_path)), [])


def test_a_call_that_takes_too_long_is_stopped(runtime: NixRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "CALL_SECONDS", 0.001)
    with pytest.raises(ProfileError, match="took longer") as stopped:
        build_environment(runtime, [])
    assert stopped.value.kind is Kind.TIMEOUT


def test_a_call_that_cannot_start_is_an_error(runtime: NixRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(argv: Sequence[str], env: object, timeout: float) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(profiles, "call", refuse)
    with pytest.raises(ProfileError) as refused:
        build_environment(runtime, [])
    assert refused.value.kind is Kind.NO_SPACE


def test_a_full_disk_is_said(runtime: NixRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "call", lambda *_: Ended(1, "", "error: writing to file: No space left on device"))
    with pytest.raises(ProfileError, match="full") as full:
        build_environment(runtime, [])
    assert full.value.kind is Kind.NO_SPACE
