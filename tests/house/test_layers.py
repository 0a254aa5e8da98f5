"""Imports go down only.

Domains own what happens, adapters own how it is said. A lower layer that imports a higher one can't be used, tested or understood without
it, and sooner or later the two import each other. To add a room, give it a floor in ``FLOORS``; when this test fails, move the code down,
or hand the higher thing in as an argument.
"""

from __future__ import annotations

import pytest

from tests.house.source import Module, modules

FLOORS = (
    ("example.server", "example.cli"),
    ("example.app", "example.worker"),
    ("example.web.api",),
    ("example.web",),
    ("example.core",),
    ("example.lifecycle",),
    ("example.environments",),
    ("example.sources",),
    ("example.nix",),
    ("example.jobs",),
    ("example.identity",),
    ("example.audit",),
    ("example.ratelimit",),
    ("example.models",),
    ("example.db", "example.migrations"),
    ("example.log",),
    ("example.config",),
    ("example.errors", "example.__version__"),
)
ALLOWED_UP = {
    ("example.migrations.env", "example.models"): "Alembic runs it, inside example.models.schema",
    ("example.worker", "example.cli.starting"): "a console script too: it reads its settings as they all do",
}


def floor_of(name: str) -> int:
    """The floor of a module, counted from the top: the longest name that fits wins."""
    fitting = [(len(room), floor) for floor, rooms in enumerate(FLOORS) for room in rooms if name == room or name.startswith(f"{room}.")]
    assert fitting, f"{name} has no floor yet: add it to FLOORS"
    return max(fitting)[1]


def _up(module: Module) -> list[str]:
    own = floor_of(module.name)
    return [
        imported
        for imported in module.imports()
        if imported.startswith("example.")
        and floor_of(imported) < own
        and not any(module.name == who and imported.startswith(what) for who, what in ALLOWED_UP)
    ]


def test_imports_go_down_only() -> None:
    assert {one.name: _up(one) for one in modules() if one.name != "example" and _up(one)} == {}


def test_every_exception_is_still_needed() -> None:
    used = {
        (one.name, what)
        for one in modules()
        for who, what in ALLOWED_UP
        if one.name == who and any(i.startswith(what) for i in one.imports())
    }
    assert used == set(ALLOWED_UP)


def test_adapters_never_import_each_other() -> None:
    wrong = [(one.name, i) for one in modules() if one.name.startswith("example.web") for i in one.imports() if i.startswith("example.cli")]
    assert wrong == []


def test_pkgctl_is_an_http_client_and_nothing_else() -> None:
    rest = "example.cli.pkgctl"
    own = [one for one in modules() if one.name.startswith(rest)]
    assert own, "pkgctl is there"
    allowed = (rest, "example.__version__")
    assert [(one.name, i) for one in own for i in one.imports() if i.startswith("example.") and not i.startswith(allowed)] == []


def test_a_module_on_no_floor_is_noticed() -> None:
    with pytest.raises(AssertionError, match="has no floor yet"):
        floor_of("example.cellar")
