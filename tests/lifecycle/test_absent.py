"""What is not where the record says: a package that was deleted meanwhile, a path that the store has lost, another host's environment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from example.environments.host import Host
from example.lifecycle.reconciling import reconcile_all
from example.nix import profile as nix_profile
from example.nix.runtime import NixRuntime
from tests.lifecycle.ready import activate, host_of, ready
from tests.lifecycle.scripted import core_of
from tests.service import Service, expect, expect_problem


def test_a_package_deleted_before_the_intent_is_written_down_does_not_go_live(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    package_id = ready(service)
    really = nix_profile.build_environment

    def and_delete(runtime: NixRuntime, paths: Sequence[str]) -> str:
        assert service.delete(f"/package/{package_id}").status_code == 204
        return really(runtime, paths)

    monkeypatch.setattr(nix_profile, "build_environment", and_delete)
    problem = expect_problem(service.post(f"/package/{package_id}/activate"), 409, "activation_failed")
    assert "was deleted meanwhile; nothing is live, as before" in problem["detail"]


def test_what_the_store_has_lost_can_be_downloaded_again(service: Service) -> None:
    package_id = ready(service)
    artifact = Path(service.package(package_id)["artifact"])
    artifact.rename(artifact.with_name("lost"))
    problem = expect_problem(service.post(f"/package/{package_id}/activate"), 409, "activation_failed")
    assert "download the package again" in problem["detail"]
    assert expect(service.post(f"/package/{package_id}/download"), 202)["status"] == "downloading"


def test_a_host_without_the_environments_folder_leaves_the_record_alone(service: Service, tmp_path: Path) -> None:
    package_id = ready(service)
    activate(service, package_id)
    reconcile_all(core_of(service).database, Host(host_of(service).runtime, tmp_path / "another-data-dir"))
    assert service.package(package_id)["status"] == "activated"
