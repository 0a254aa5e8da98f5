"""The nix.conf: sandboxed, restricted, and with the host's shell for the demo set only."""

from __future__ import annotations

import grp
import os
from pathlib import Path

import pytest

from example.nix.configuration import build_users_group, configuration_of, host_shell_paths
from example.nix.pins import DEMO, Pin
from tests.nixstore import make_settings


def test_the_configuration_keeps_builds_sandboxed_and_evaluation_restricted(tmp_path: Path) -> None:
    text = configuration_of(make_settings(tmp_path, nix_sandbox_paths=""), (Pin("real", path="/nixpkgs"),))
    assert "sandbox = true\nsandbox-fallback = false\nextra-sandbox-paths =\n" in text
    assert "restrict-eval = true\n" in text and "allow-import-from-derivation = false\n" in text


def test_only_the_demo_set_gets_the_hosts_shell(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, nix_sandbox_paths="/opt/tool")
    assert "/bin/sh=" in configuration_of(settings, (DEMO,))
    assert "extra-sandbox-paths = /opt/tool\n" in configuration_of(settings, (DEMO, Pin("real", path="/nixpkgs")))
    assert any(path.startswith("/bin/sh=/") for path in host_shell_paths())


def test_caches_and_url_pins_are_allowed_on_one_line_each(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, nix_substituters="https://a\nsandbox = false", nix_trusted_public_keys="a:k b:k")
    text = configuration_of(settings, (Pin("u", url="https://h/x.tar.gz", sha256="0" * 52),))
    assert "substituters = https://a sandbox = false\n" in text and "\nsandbox = false" not in text
    assert "trusted-public-keys = a:k b:k\n" in text and "allowed-uris = https://h/x.tar.gz\n" in text


@pytest.mark.parametrize(("uid", "members", "group"), [(0, ["nixbld1"], "nixbld"), (0, [], ""), (0, None, ""), (1000, ["nixbld1"], "")])
def test_root_builds_as_build_users_where_there_are_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, members: list[str] | None, group: str
) -> None:
    def find(name: str) -> grp.struct_group:
        if members is None:
            raise KeyError(name)
        return grp.struct_group((name, "x", 30000, members))

    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(grp, "getgrnam", find)
    assert build_users_group() == group
    assert f"build-users-group = {group}".rstrip() + "\n" in configuration_of(make_settings(tmp_path), (DEMO,))
