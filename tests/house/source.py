"""The service's own source code, read as text and as syntax: what the house rules are about."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Module:
    """One file of ``example``: its dotted name, text and syntax tree."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    def imports(self) -> Iterator[str]:
        """Every module that this one imports, anywhere in it."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
                parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
                origin = ".".join([*parents, *([node.module] if node.module else [])])
                yield from (f"{origin}.{alias.name}" for alias in node.names)


def _read(path: Path) -> Module:
    dotted = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    text = path.read_text(encoding="utf-8")
    return Module(dotted, path, text, ast.parse(text))


def modules() -> list[Module]:
    """Every module of ``example``."""
    found = [_read(path) for path in sorted((ROOT / "example").rglob("*.py"))]
    assert len(found) > 50, "the rules must see the whole house"
    return found
