"""default.nix and shell.nix evaluate, against a stand-in for nixpkgs, and ask for what setup.py asks for."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from example import __version__
from tests.packaging.paths import ROOT, declared


@pytest.fixture
def nix_env(tmp_path: Path) -> dict[str, str]:
    """Nix with no configuration, no store and no home of the host."""
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NIX_CONF_DIR": str(tmp_path), "NIX_USER_CONF_FILES": "/dev/null"}


def evaluate(expression: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    argv = ["nix-instantiate", "--store", "dummy://", "--eval", "--strict", "--json", "--expr", expression]
    return subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def value_of(expression: str, env: dict[str, str]) -> Any:
    answer = evaluate(expression, env)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


MOCK = "import ./tests/packaging/nixpkgs.nix"


def test_the_application_depends_on_what_setup_py_names(nix_env: dict[str, str]) -> None:
    application = value_of(f"import ./default.nix {{ pkgs = {MOCK} {{ }}; }}", nix_env)
    assert sorted(application["dependencies"]) == sorted(declared("RUNTIME"))


def test_the_application_is_this_version_of_the_service(nix_env: dict[str, str]) -> None:
    application = value_of(f"import ./default.nix {{ pkgs = {MOCK} {{ }}; }}", nix_env)
    assert (application["pname"], application["version"]) == ("package-master", __version__)


def test_lower_bounds_are_those_of_setup_py(nix_env: dict[str, str]) -> None:
    # A nixpkgs where everything is version 0 is refused with every bound.
    refusal = evaluate(f"import ./default.nix {{ pkgs = {MOCK} {{ version = ''0''; }}; }}", nix_env).stderr
    bounds = {
        name: next(spec.version for spec in requirement.specifier if spec.operator == ">=")
        for name, requirement in declared("RUNTIME").items()
    }
    for name, bound in bounds.items():
        if name not in ("dbos", "fastapi-offline"):
            assert f"{name} 0 (needs {bound})" in refusal, "default.nix: `floors` are the lower bounds of setup.py"


def test_what_nixpkgs_lacks_is_built_from_the_pinned_version(nix_env: dict[str, str]) -> None:
    sources = value_of(f"(import ./default.nix {{ pkgs = {MOCK} {{ }}; }}).wheels", nix_env)
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    for wheel in sources:
        name, version = wheel.split("-")[:2]
        assert f"{name.replace('_', '-')}=={version}" in pins, "default.nix: take the version and the hash of the pin"


def test_an_older_nixpkgs_is_refused_by_name_unless_allowed(nix_env: dict[str, str]) -> None:
    older = f'{MOCK} {{ version = "2.0"; }}'
    refused = evaluate(f"import ./default.nix {{ pkgs = {older}; }}", nix_env)
    assert refused.returncode == 1
    assert "sqlalchemy 2.0 (needs 2.1)" in refused.stderr
    assert value_of(f"(import ./default.nix {{ pkgs = {older}; allowOlder = true; }}).pname", nix_env) == "package-master"


def test_the_shell_has_what_make_test_starts(nix_env: dict[str, str]) -> None:
    shell = value_of(f"import ./shell.nix {{ pkgs = {MOCK} {{ }}; }}", nix_env)
    assert {"python3", "nix", "util-linux", "postgresql", "redis", "git", "gnumake"} <= set(shell["packages"])
