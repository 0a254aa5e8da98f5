"""The table of scopes: families, each a ladder whose higher rung includes the lower ones. Pure.

``GET /api/v1/scopes`` shows this table; nothing else in the code lists scopes.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache


class Scope(StrEnum):
    """One right that a token can carry."""

    WORKSPACES_READ = "workspaces:read"
    WORKSPACES_WRITE = "workspaces:write"
    WORKSPACES_DELETE = "workspaces:delete"
    WORKSPACES_ADMIN = "workspaces:admin"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    FCS_READ = "fcs:read"
    FCS_WRITE = "fcs:write"
    FCS_ANALYZE = "fcs:analyze"
    PACKAGES_READ = "packages:read"
    PACKAGES_PUBLISH = "packages:publish"
    PACKAGES_DELETE = "packages:delete"
    PACKAGES_ADMIN = "packages:admin"
    ENVIRONMENTS_READ = "environments:read"
    ENVIRONMENTS_WRITE = "environments:write"
    ENVIRONMENTS_ACTIVATE = "environments:activate"
    JOBS_READ = "jobs:read"
    JOBS_CANCEL = "jobs:cancel"
    TOKENS_READ = "tokens:read"
    TOKENS_WRITE = "tokens:write"
    TOKENS_ADMIN = "tokens:admin"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    AUDIT_READ = "audit:read"
    AUDIT_EXPORT = "audit:export"
    SYSTEM_READ = "system:read"
    SYSTEM_ADMIN = "system:admin"


MEANINGS: dict[Scope, str] = {
    Scope.WORKSPACES_READ: "See workspaces, their settings and members",
    Scope.WORKSPACES_WRITE: "Create workspaces, change settings and members",
    Scope.WORKSPACES_DELETE: "Delete workspaces",
    Scope.WORKSPACES_ADMIN: "Everything about workspaces",
    Scope.USERS_READ: "See users",
    Scope.USERS_WRITE: "Change one's own account",
    Scope.FCS_READ: "Read flow-cytometry files",
    Scope.FCS_WRITE: "Upload and delete flow-cytometry files",
    Scope.FCS_ANALYZE: "Compute statistics of flow-cytometry files",
    Scope.PACKAGES_READ: "See packages",
    Scope.PACKAGES_PUBLISH: "Create and publish packages",
    Scope.PACKAGES_DELETE: "Delete packages",
    Scope.PACKAGES_ADMIN: "Everything about packages",
    Scope.ENVIRONMENTS_READ: "See environments and their generations",
    Scope.ENVIRONMENTS_WRITE: "Create and configure environments",
    Scope.ENVIRONMENTS_ACTIVATE: "Download, activate, deactivate, switch and roll back; runs programs of packages as the service's user",
    Scope.JOBS_READ: "See jobs and their logs",
    Scope.JOBS_CANCEL: "Cancel jobs",
    Scope.TOKENS_READ: "See one's tokens (masked)",
    Scope.TOKENS_WRITE: "Create, regenerate and revoke tokens",
    Scope.TOKENS_ADMIN: "Revoke all tokens but the one in use",
    Scope.WEBHOOKS_READ: "See webhooks and their deliveries",
    Scope.WEBHOOKS_WRITE: "Create, change and delete webhooks",
    Scope.AUDIT_READ: "Read the audit log",
    Scope.AUDIT_EXPORT: "Export the audit log",
    Scope.SYSTEM_READ: "Read metrics",
    Scope.SYSTEM_ADMIN: "Everything about the instance",
}


def family(scope: Scope) -> str:
    """The part before the colon."""
    return scope.value.partition(":")[0]


def _ladders() -> dict[str, tuple[Scope, ...]]:
    rungs: dict[str, tuple[Scope, ...]] = {}
    for scope in Scope:
        rungs[family(scope)] = (*rungs.get(family(scope), ()), scope)
    return rungs


LADDERS: dict[str, tuple[Scope, ...]] = _ladders()
"""Every family's rungs, lowest first: the order of ``Scope`` above."""

TOP_SCOPES: tuple[Scope, ...] = tuple(rungs[-1] for rungs in LADDERS.values())
"""The highest rung of every family: all rights."""


def implied(scope: Scope) -> tuple[Scope, ...]:
    """``scope`` and every lower rung of its ladder."""
    rungs = LADDERS[family(scope)]
    return rungs[: rungs.index(scope) + 1]


@lru_cache(maxsize=1024)
def _closure(scopes: tuple[str, ...]) -> frozenset[Scope]:
    return frozenset(lower for text in scopes if text in MEANINGS for lower in implied(Scope(text)))


def closure(scopes: Iterable[str]) -> frozenset[Scope]:
    """All rights that ``scopes`` give, ladders climbed down. A scope that no longer exists gives nothing."""
    return _closure(tuple(scopes))


def highest(scopes: frozenset[Scope]) -> tuple[Scope, ...]:
    """The highest rung of each family that is in ``scopes``: what has to be named to give them all."""
    return tuple(max(mine, key=rungs.index) for rungs in LADDERS.values() if (mine := [rung for rung in rungs if rung in scopes]))
