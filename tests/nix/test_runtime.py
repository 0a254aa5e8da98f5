"""How Nix is run: environment, folders, wrapper, and sweeping."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from example.nix.lock import store_lock
from example.nix.runtime import NixMissing, NixRuntime
from tests.nixstore import make_settings


def test_no_secret_of_the_service_reaches_nix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "hidden")
    monkeypatch.setenv("NIX_PATH", "nixpkgs=/x")
    monkeypatch.setenv("NIX_SSL_CERT_FILE", "/certs")
    env = NixRuntime.of(make_settings(tmp_path)).env
    assert "SECRET_KEY" not in env and "NIX_PATH" not in env and env["NIX_SSL_CERT_FILE"] == "/certs"
    assert env["HOME"] == str(tmp_path / "nix/home") and env["NIX_USER_CONF_FILES"] == "/dev/null"
    assert env["NIX_STORE_DIR"] == str(tmp_path / "root/store")


def test_without_a_root_of_its_own_the_hosts_store_is_used(tmp_path: Path) -> None:
    runtime = NixRuntime.of(make_settings(tmp_path, nix_root=None))
    assert runtime.store_dir == Path("/nix/store") and "NIX_STORE_DIR" not in runtime.env
    assert runtime.roots == tmp_path / "roots/nix" and runtime.environments == tmp_path / "environments/nix"


def test_several_processes_may_prepare_at_once(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: NixRuntime.prepare(settings), range(40)))
    runtime = NixRuntime.prepare(settings)
    assert os.listdir(tmp_path / "nix/etc") == ["nix.conf"]
    assert (tmp_path / "nix/etc/nix.conf").read_text() == runtime.configuration


def test_a_changed_setting_replaces_the_configuration(tmp_path: Path) -> None:
    NixRuntime.prepare(make_settings(tmp_path))
    NixRuntime.prepare(make_settings(tmp_path, nix_substituters="https://cache.example.org"))
    assert "https://cache.example.org" in (tmp_path / "nix/etc/nix.conf").read_text()


def test_a_configuration_that_cannot_be_replaced_leaves_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: str, target: str) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        NixRuntime.prepare(make_settings(tmp_path))
    assert os.listdir(tmp_path / "nix/etc") == []


@pytest.mark.parametrize(("uid", "namespace"), [(0, "--pid"), (1000, "--user")])
def test_the_wrapper_dies_with_its_parent_and_takes_all_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, namespace: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    wrapped = NixRuntime.of(make_settings(tmp_path)).wrap(["nix-build", "--version"])
    assert wrapped[1:3] == ["--pdeathsig", "KILL"] and wrapped[4] == namespace and "--kill-child" in wrapped
    assert subprocess.run(wrapped, capture_output=True, check=True).stdout.startswith(b"nix-build (")


@pytest.mark.parametrize(
    ("present", "absent", "remedy"), [((), "nix-build", "nix-bin"), (("nix-build", "unshare"), "setpriv", "util-linux")]
)
def test_a_missing_program_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, present: tuple[str, ...], absent: str, remedy: str
) -> None:
    for name in present:
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(tmp_path))
    runtime = NixRuntime.of(make_settings(tmp_path))
    problem = runtime.missing()
    assert problem and problem.startswith(f"{absent} is not on PATH") and remedy in problem and "\n" not in problem
    with pytest.raises(NixMissing, match=absent):
        runtime.wrap(["nix-build"])


def test_nothing_is_missing_on_a_host_with_nix(tmp_path: Path) -> None:
    assert NixRuntime.of(make_settings(tmp_path)).missing() is None


def test_the_sweep_takes_dead_build_folders_and_spares_those_at_work(tmp_path: Path) -> None:
    runtime = NixRuntime.prepare(make_settings(tmp_path))
    build = tmp_path / "nix/tmp/nix-build-hello.drv-0"
    (build / "source").mkdir(parents=True)
    with store_lock(tmp_path).shared():
        assert runtime.sweep() == 0 and build.exists()
    assert runtime.sweep() == 1 and not build.exists()
