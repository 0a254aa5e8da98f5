"""Where the files under test are, and what setup.py says of dependencies."""

from __future__ import annotations

import ast
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


def declared(group: str) -> dict[str, Requirement]:
    """The requirements in setup.py's list ``RUNTIME`` or ``DEVELOPMENT`` by name, read without running it."""
    for statement in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name) and statement.targets[0].id == group:
            requirements = map(Requirement, ast.literal_eval(statement.value))
            return {requirement.name: requirement for requirement in requirements}
    raise LookupError(group)
