"""One file, one subject; a function that fits on a screen. What grows past this has more than one subject: split it."""

from __future__ import annotations

import ast

import pytest

from tests.house.source import modules

LONGEST_FILE = 400
LONGEST_FUNCTION = 40
MIGRATIONS = "example.migrations.versions"  # generated, and never changed again


def _code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from its ``def`` to its end, decorators (documentation, in the web) and docstring left out."""
    assert node.end_lineno is not None
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    doc = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return node.end_lineno - node.lineno + 1 - doc


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {one.name: one.text.count("\n") for one in modules()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_longer_than_40_lines() -> None:
    lengths = {
        f"{one.name}.{node.name}": _code_lines(node)
        for one in modules()
        for node in ast.walk(one.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not one.name.startswith(MIGRATIONS)
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_every_module_says_what_it_owns() -> None:
    assert [one.name for one in modules() if ast.get_docstring(one.tree) is None] == []


@pytest.mark.parametrize("folder", ["utils", "helpers", "common", "manager", "misc"])
def test_no_room_is_named_after_nothing(folder: str) -> None:
    """Folders are nouns of the domain: what is in ``utils`` nobody looks for."""
    assert [one.name for one in modules() if folder in one.name.split(".")] == []
