"""What domain code never does. It is called by the web, by workers and by commands alike: so it can't know HTTP, read the environment, or
end
a transaction that is its caller's. Only ``web/calls.py``, the worker's steps and the verbs that run subprocesses hold a transaction,
through
``Database.transact``.
"""

from __future__ import annotations

import ast

from tests.house.source import Module, modules

DOMAINS = ("identity", "audit", "ratelimit", "lifecycle", "environments", "sources", "jobs", "models", "nix")
WEB_LIBRARIES = ("fastapi", "starlette", "uvicorn")
READS_ENVIRONMENT = {"example.nix.configuration", "example.nix.runtime"}  # they start Nix: a process gets its environment from ours


def domain_modules() -> list[Module]:
    return [one for one in modules() if one.name.split(".")[1:2] and one.name.split(".")[1] in DOMAINS]


def test_domains_know_nothing_of_http_servers() -> None:
    assert [(one.name, i) for one in domain_modules() for i in one.imports() if i.split(".")[0] in WEB_LIBRARIES] == []


def test_domains_never_commit() -> None:
    calls = [
        (one.name, node.func.attr)
        for one in domain_modules()
        for node in ast.walk(one.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    assert [call for call in calls if call[1] in ("commit", "rollback")] == []


def test_domains_are_told_their_settings() -> None:
    told = [one for one in domain_modules() if one.name not in READS_ENVIRONMENT]
    reads = [
        one.name for one in told for node in ast.walk(one.tree) if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    ]
    assert reads == [], "settings come as arguments; example.config reads them"


def test_protected_rows_are_fetched_through_access_only() -> None:
    """``session.get(Package, …)`` and the like skip the workspace and the token's resources."""
    wrong = []
    for module in (one for one in modules() if one.name.startswith("example.web")):
        for node in ast.walk(module.tree):
            fetches = (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "get_one") and node.args
            )
            if (
                fetches
                and isinstance(node, ast.Call)
                and isinstance(node.args[0], ast.Name)
                and node.args[0].id in ("Package", "Environment", "Token")
            ):
                wrong.append(f"{module.name}:{node.lineno}")
    assert wrong == []
