"""What README.md and docs/ name exists, and what they list is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from example.app import create_app
from example.config import Settings
from example.identity.tokens import TOKEN_PATTERN
from example.web.routing import PREFIX
from tests.docs.pages import PAGES, README, code_of, links_of, section, text_of
from tests.house.test_layers import FLOORS, floor_of
from tests.service import ROOT

TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
PROGRAMS = {"uvicorn", *re.findall(r'"([a-z-]+)=example\.', (ROOT / "setup.py").read_text(encoding="utf-8"))}
FOLDERS = "example|tests|docs|scripts|deploy|bench"

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@every_page
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    named = {target for code in code_of(page) for target in re.findall(r"\bmake ([a-z][a-z-]*)", code)}
    assert named <= TARGETS


@every_page
def test_every_program_that_is_named_is_installed(page: Path) -> None:
    named = {name for code in code_of(page) for name in re.findall(r"(?<![\w/.])(example-[a-z]+|pkgctl)(?![\w.])", code)}
    assert named <= PROGRAMS


@every_page
def test_every_relative_link_resolves(page: Path) -> None:
    relative = [link.partition("#")[0] for link in links_of(page) if not link.startswith("http")]
    assert [link for link in relative if not (page.parent / link).exists()] == []


@every_page
def test_every_path_that_is_named_exists(page: Path) -> None:
    named = [code for code in code_of(page) if re.fullmatch(rf"(?:\./)?(?:{FOLDERS})/[\w./-]*", code)]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_file_in_the_table_of_changes_is_in_the_folder_beside_it() -> None:
    rows = [line for line in section("Where to change what").splitlines() if line.startswith("| ")]
    for row in rows:
        folders = [ROOT / link for link in re.findall(r"\]\(([^)]+)\)", row) if (ROOT / link).is_dir()]
        for name in re.findall(r"`(\w+\.py)`", row):
            assert any((folder / name).exists() for folder in folders), f"{name} is not where this row says: {row}"


def test_the_route_map_is_the_routes_with_their_scopes() -> None:
    shown = {
        (method, _full(path), scope)
        for routes, scope in re.findall(r"^\|[^|]*\|([^|]*)\| *`?([a-z:]+)`? *\|$", section("Routes"), re.MULTILINE)
        for method, path in re.findall(r"(GET|POST|PUT|DELETE) `([^`]+)`", routes)
    }
    assert shown - {(method, path, "none") for method, path in _pages()} == set(_declared())


def test_the_line_of_imports_is_the_floors_from_the_top() -> None:
    line = re.search(r"Imports go down only:\s`([^`]+)`", section("How a request flows"))
    assert line is not None
    rooms = line[1].split(" → ")
    floors = [floor_of(f"example.{room}") for room in rooms]
    between = [room.removeprefix("example.") for floor in FLOORS[floors[0] : floors[-1] + 1] for room in floor]
    assert floors == sorted(set(floors))
    assert set(between) - set(rooms) == {"core"}, "core.py puts them together; every other room in between is in the line"


def test_the_expression_for_secret_scanners_is_the_codes() -> None:
    assert f"`{TOKEN_PATTERN}`" in section("Tokens")


def test_the_readme_is_short_enough_for_five_minutes() -> None:
    assert len(text_of(README).splitlines()) <= 290


def _full(path: str) -> str:
    public = ("/hello", "/health", "/health/ready", *(page for _, page in _pages()))
    return path if path in public else PREFIX + path


def _pages() -> list[tuple[str, str]]:
    return [("GET", "/docs"), ("GET", "/redoc"), ("GET", "/openapi.json")]


def _declared() -> list[tuple[str, str, str]]:
    document = create_app(Settings(_env_file=None)).openapi()
    return [
        (method.upper(), path, operation.get("x-required-scope", "none"))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method != "head"
    ]
