from __future__ import annotations

from pathlib import Path

from tests.service import Service, expect


def test_a_package_goes_from_created_to_activated(working: Service) -> None:
    package_id = working.ready("hello", "2.1.0")
    expect(working.post(f"/package/{package_id}/activate"), 200)
    assert working.package(package_id)["environments"] == ["default"]
    path = expect(working.get("/environments/nix/default"), 200)["path"]
    assert (Path(path) / "bin").exists()
