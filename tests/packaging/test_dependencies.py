"""Pins, ranges and reasons agree, and the pins say nothing about the machine that made them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.packaging.paths import ROOT, declared

FILES = ["requirements.txt", "requirements-dev.txt"]


def pins_of(file: str) -> dict[str, Requirement]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.lstrip().startswith("#")]
    return {requirement.name: requirement for requirement in found}


def version_of(pin: Requirement) -> str:
    return re.fullmatch(r"==([^*]+)", str(pin.specifier))[1]  # type: ignore[index]


@pytest.mark.parametrize("file", FILES)
def test_every_pin_is_exact(file: str) -> None:
    assert [str(pin) for pin in pins_of(file).values() if not re.fullmatch(r"==[^*,]+", str(pin.specifier))] == []


@pytest.mark.parametrize(("file", "groups"), [(FILES[0], ["RUNTIME"]), (FILES[1], ["RUNTIME", "DEVELOPMENT"])])
def test_every_range_of_setup_py_has_a_pin_inside_it(file: str, groups: list[str]) -> None:
    pins = pins_of(file)
    for group in groups:
        for name, wanted in declared(group).items():
            assert name in pins, f"{name} has no pin: run 'make lock'"
            assert version_of(pins[name]) in wanted.specifier, f"{name} is pinned outside its range: run 'make lock'"


def test_development_has_the_versions_that_the_service_runs_on() -> None:
    development = pins_of(FILES[1])
    assert {name: str(pin.specifier) for name, pin in pins_of(FILES[0]).items()} == {
        name: str(development[name].specifier) for name in pins_of(FILES[0])
    }


@pytest.mark.parametrize("file", FILES)
def test_pins_name_no_index_folder_or_host(file: str) -> None:
    assert re.findall(r"://|^--|(?<!setup)\.py\b\s*/|/\w+/", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE) == []


def test_every_dependency_has_its_reason() -> None:
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    runtime, development = page.split("## For development")
    for part, group in ((runtime, "RUNTIME"), (development.split("## From Debian")[0], "DEVELOPMENT")):
        named = re.findall(r"^\| `([a-z0-9-]+)(?:\[\w+\])?` \| \S", part, re.MULTILINE)
        assert sorted(named) == sorted(declared(group)), "docs/dependencies.md: one line for each dependency of setup.py"


def test_the_image_holds_no_development_dependency() -> None:
    dockerfile = Path(ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "requirements.txt" in dockerfile
    assert "requirements-dev" not in dockerfile
