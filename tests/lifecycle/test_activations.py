"""Activating and deactivating: what is live, what is said about it, and many at once."""

from __future__ import annotations

import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from example.lifecycle import switching
from example.lifecycle.downloads import fail, succeed
from example.nix import profile as nix_profile
from example.nix.runtime import NixRuntime
from example.sources import Artifact
from tests.lifecycle.ready import activate, check_truth, environment, generations, host_of, profile_of, programs, ready
from tests.lifecycle.scripted import core_of
from tests.service import Service, expect, expect_problem


def test_an_activated_package_is_live_and_says_where(service: Service) -> None:
    package_id = ready(service)
    assert activate(service, package_id) == 1
    package = service.package(package_id)
    assert package["status"] == "activated" and package["environments"] == ["default"] and package["activated_at"] is not None
    assert (profile_of(service) / "bin/tool").read_text() == "3.0\n"
    assert environment(service)["packages"] == [{"id": package_id, "name": "tool", "version": "3.0"}]
    check_truth(service)


def test_activating_again_changes_nothing(service: Service) -> None:
    package_id = ready(service)
    assert activate(service, package_id) == activate(service, package_id) == 1
    assert len(generations(service)) == 1


@pytest.mark.parametrize("status", ["created", "downloading", "failed"])
def test_what_is_not_downloaded_cannot_be_activated_and_makes_no_environment(service: Service, status: str) -> None:
    package_id = service.create()
    if status != "created":
        task_id = service.post(f"/package/{package_id}/download").json()["task_id"]
        if status == "failed":
            core_of(service).database.transact(lambda session: fail(session, task_id, "because"))
    problem = expect_problem(service.post(f"/package/{package_id}/activate"), 409, "invalid_status")
    assert problem["status_now"] == status
    assert expect(service.get("/environments"), 200) == []


def test_another_package_joins_what_is_live(service: Service) -> None:
    activate(service, ready(service, "tool"))
    assert activate(service, ready(service, "toolbox")) == 2
    assert programs(service) == ["tool", "toolbox"]
    check_truth(service)


def test_another_version_takes_the_place_of_the_one_before(service: Service) -> None:
    old, new = ready(service, "tool", "1.2"), ready(service, "tool", "3.0")
    activate(service, old)
    activate(service, new)
    assert (profile_of(service) / "bin/tool").read_text() == "3.0\n"
    assert service.package(old)["status"] == "downloaded" and service.package(old)["activated_at"] is None
    assert service.package(new)["status"] == "activated"
    check_truth(service)


def test_a_file_that_two_packages_bring_is_a_conflict_that_says_what_is_live(service: Service) -> None:
    activate(service, ready(service, "tool"))
    clash = ready(service, "clash", "1.0")
    problem = expect_problem(service.post(f"/package/{clash}/activate"), 409, "activation_failed")
    assert "both bring bin/tool" in problem["detail"] and problem["detail"].endswith("; generation 1 stays live")
    assert service.package(clash)["status"] == "downloaded"
    assert programs(service) == ["tool"]
    check_truth(service)


def test_a_failure_of_the_first_activation_says_that_nothing_is_live(service: Service) -> None:
    package_id = ready(service)
    path = service.package(package_id)["artifact"]
    store = Path(path).parent
    os.rename(path, f"{path}.away")
    problem = expect_problem(service.post(f"/package/{package_id}/activate"), 409, "activation_failed")
    assert "is not in the store any more" in problem["detail"] and problem["detail"].endswith("nothing is live, as before")
    assert store.is_dir() and environment(service)["generation"] is None
    check_truth(service)


def test_a_deactivated_package_is_not_live_and_stays_downloaded(service: Service) -> None:
    first, second = ready(service, "tool"), ready(service, "toolbox")
    activate(service, first)
    activate(service, second)
    assert expect(service.post(f"/package/{first}/deactivate"), 200) == {"status": "downloaded", "generation": 3}
    assert programs(service) == ["toolbox"]
    check_truth(service)


def test_the_last_package_that_leaves_leaves_an_empty_environment(service: Service) -> None:
    package_id = ready(service)
    activate(service, package_id)
    assert expect(service.post(f"/package/{package_id}/deactivate"), 200)["generation"] == 2
    assert environment(service)["packages"] == [] and programs(service) == []
    check_truth(service)
    assert activate(service, package_id) == 3


def test_deactivating_what_is_not_active_changes_nothing(service: Service) -> None:
    package_id = ready(service)
    assert expect(service.post(f"/package/{package_id}/deactivate"), 200) == {"status": "downloaded", "generation": None}
    assert expect(service.get("/environments"), 200) == []
    other = ready(service, "toolbox")
    activate(service, other)
    assert expect(service.post(f"/package/{package_id}/deactivate"), 200) == {"status": "downloaded", "generation": 1}
    check_truth(service)


def test_a_package_that_was_deleted_and_made_again_is_live_again_under_its_new_id(service: Service) -> None:
    first = ready(service)
    activate(service, first)
    expect(service.post(f"/package/{first}/deactivate"), 200)
    assert service.delete(f"/package/{first}").status_code == 204
    second = ready(service)
    activate(service, second)
    assert environment(service)["packages"] == [{"id": second, "name": "tool", "version": "3.0"}]
    assert [package["id"] for package in generations(service)[-1]["packages"]] == [None]
    check_truth(service)


def test_a_package_that_is_going_live_cannot_be_deleted(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    package_id, refused = ready(service), []
    really = nix_profile.set_profile

    def and_delete(runtime: NixRuntime, profile: Path, store_path: str) -> int:
        generation = really(runtime, profile, store_path)
        refused.append(service.delete(f"/package/{package_id}").status_code)
        return generation

    monkeypatch.setattr(nix_profile, "set_profile", and_delete)
    assert activate(service, package_id) == 1
    assert refused == [409]
    check_truth(service)


def test_a_database_that_is_away_after_the_switch_is_not_said_to_have_stopped_it(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    package_id = ready(service)

    def away(*_: object) -> None:
        raise OperationalError("UPDATE", None, Exception("away"))

    with monkeypatch.context() as patch:
        patch.setattr(switching, "set_active", away)
        problem = expect_problem(service.post(f"/package/{package_id}/activate"), 503, "service_unavailable")
    assert "generation 1 is live" in problem["detail"]
    assert activate(service, package_id) == 1
    check_truth(service)


def test_twenty_activations_at_once_each_make_a_whole_generation(service: Service) -> None:
    names = [f"made-{number}" for number in range(20)]
    ids = [make_live_later(service, name) for name in names]
    activate(service, ready(service, "tool"))
    profile = profile_of(service)
    stopping, seen, broken = threading.Event(), set[tuple[str, ...]](), list[str]()

    def read() -> None:
        while not stopping.is_set():
            try:
                seen.add(tuple(sorted(os.listdir(profile / "bin"))))
                assert (profile / "bin/tool").read_text() == "3.0\n"
            except (OSError, AssertionError) as error:
                broken.append(repr(error))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        with ThreadPoolExecutor(20) as threads:
            made = list(threads.map(lambda package_id: activate(service, package_id), ids))
    finally:
        stopping.set()
        for reader in readers:
            reader.join()
    assert broken == []
    assert sorted(made) == list(range(2, 22))
    sizes = [len(generation["packages"]) for generation in reversed(generations(service))]
    assert sizes == list(range(1, 22)), "a generation lost what another had brought"
    assert programs(service) == sorted(["tool", *names])
    assert all(len(earlier) <= 21 for earlier in seen) and len(seen) > 1
    check_truth(service)


def make_live_later(service: Service, name: str) -> int:
    """A downloaded package whose store path is made by hand: a build each would take the time."""
    package_id = service.create(name, "1.0")
    path = host_of(service).runtime.store_dir.parent.parent / "trees" / name
    (path / "bin").mkdir(parents=True)
    (path / "bin" / name).write_text(name)
    return adopt(service, package_id, path)


def adopt(service: Service, package_id: int, tree: Path) -> int:
    """Put a tree into the store as the package's artifact."""
    command = ["nix-store", "--add", str(tree)]
    added = subprocess.run(command, env=host_of(service).runtime.env, capture_output=True, text=True, check=True).stdout.strip()
    task_id = expect(service.post(f"/package/{package_id}/download"), 202)["task_id"]
    core_of(service).database.transact(lambda session: succeed(session, task_id, Artifact(added, (added,))))
    return package_id
