"""example-admin gc: frees what no package and no generation needs, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from example.cli import admin
from example.config import Settings
from example.nix.runtime import NixRuntime
from example.nix.store import StoreError
from tests.service import Service, environment_of, expect

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


def gc(settings: Settings) -> str:
    """Run the command as the service's operator; answers what it printed."""
    result = CliRunner().invoke(admin.app, ["gc"], env=environment_of(settings))
    assert result.exit_code == 0, result.output
    return result.output


def roots(settings: Settings) -> set[str]:
    return {root.name for root in NixRuntime.of(settings).roots.iterdir()}


def test_it_keeps_what_is_recorded(working: Service) -> None:
    package = working.package(working.ready("hello", "2.1.0"))
    assert "forgot 0 packages" in gc(working.settings)
    assert str(package["id"]) in roots(working.settings)
    expect(working.post(f"/package/{package['id']}/activate"), 200)


def test_it_frees_what_was_deleted_in_a_way_that_left_its_root(working: Service) -> None:
    package_id = working.ready("hello", "2.1.0")
    root = NixRuntime.of(working.settings).roots / str(package_id)
    target = root.readlink()
    assert working.delete(f"/package/{package_id}").status_code == 204
    root.symlink_to(target)  # as if the server had died between the commit and the removal
    said = gc(working.settings)
    assert "forgot 1 packages" in said and "freed" in said
    assert str(package_id) not in roots(working.settings)


def test_a_root_that_is_no_packages_is_left_alone(working: Service) -> None:
    working.ready("hello", "2.1.0")
    stranger = NixRuntime.of(working.settings).roots / "operator"
    stranger.symlink_to("/nowhere")
    gc(working.settings)
    assert stranger.is_symlink()


def test_a_collection_that_fails_is_told_in_one_line(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StoreError("the store can't be locked")

    monkeypatch.setattr(admin, "collect_garbage", fail)
    result = CliRunner().invoke(admin.app, ["gc"], env=environment_of(settings))
    assert result.exit_code != 0
    assert "example-admin gc: the store can't be locked" in result.output + str(result.exception)


def test_it_is_a_console_script(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["example-admin", "--help"])
    with pytest.raises(SystemExit) as ended:
        admin.main()
    assert ended.value.code == 0 and "gc" in capsys.readouterr().out
