"""pkgctl is a client: it could be copied out of the service and would still run."""

import ast
import subprocess
import sys
from pathlib import Path

import example.cli.pkgctl

FOLDER = Path(example.cli.pkgctl.__file__).parent


def test_nothing_of_the_service_is_imported_but_the_version() -> None:
    for file in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                own = node.level == 1
                version = node.module == "example" and [alias.name for alias in node.names] == ["__version__"]
                assert own or version or (node.level == 0 and not (node.module or "").startswith("example")), f"{file.name}: {node.module}"
            if isinstance(node, ast.Import):
                assert not [alias.name for alias in node.names if alias.name.startswith("example")], file.name


def test_running_it_loads_nothing_of_the_service() -> None:
    code = "import sys, example.cli.pkgctl.main; print(*sorted(name for name in sys.modules if name.split('.')[0] == 'example'))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in loaded if not name.startswith("example.cli.pkgctl")} == {"example", "example.cli"}
