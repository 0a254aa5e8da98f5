"""What a member of a workspace may do: four roles, each with what the lower ones may. Pure.

The scopes of an account (``users:*``, ``workspaces:*``) are no role's: there the verb asks for the role in the workspace that it is about.
``system:*`` is for instance administrators alone.
"""

from __future__ import annotations

from enum import StrEnum

from example.identity.scopes import LADDERS, Scope, closure, family


class Role(StrEnum):
    """A member's role, lowest first."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    MAINTAINER = "maintainer"
    OWNER = "owner"

    def covers(self, other: Role) -> bool:
        """Whether this role may do what ``other`` may."""
        return RANKS[self] >= RANKS[other]


RANKS: dict[Role, int] = {role: rank for rank, role in enumerate(Role)}
ACCOUNT_FAMILIES = frozenset({"users", "workspaces"})

_ADDED: dict[Role, tuple[Scope, ...]] = {
    Role.VIEWER: (Scope.PACKAGES_READ, Scope.ENVIRONMENTS_READ, Scope.JOBS_READ, Scope.FCS_READ, Scope.TOKENS_ADMIN),
    Role.DEVELOPER: (Scope.PACKAGES_PUBLISH, Scope.ENVIRONMENTS_ACTIVATE, Scope.JOBS_CANCEL, Scope.FCS_ANALYZE),
    Role.MAINTAINER: (Scope.PACKAGES_ADMIN, Scope.WEBHOOKS_WRITE, Scope.AUDIT_READ),
    Role.OWNER: (Scope.AUDIT_EXPORT,),
}
_ACCOUNT = frozenset(scope for scope in Scope if family(scope) in ACCOUNT_FAMILIES)


def _grants() -> dict[Role, frozenset[Scope]]:
    granted, so_far = {}, _ACCOUNT
    for role in Role:
        so_far = so_far | closure(_ADDED[role])
        granted[role] = so_far
    return granted


GRANTS: dict[Role, frozenset[Scope]] = _grants()
"""Everything that a role grants, lower rungs and lower roles included."""

EVERYTHING: frozenset[Scope] = frozenset(scope for rungs in LADDERS.values() for scope in rungs)
"""What an instance administrator may do."""

_LOWEST: dict[Scope, Role | None] = {scope: next((role for role in Role if scope in GRANTS[role]), None) for scope in Scope}


def held(role: str | None, *, is_admin: bool) -> Role | None:
    """The role of a member's row (``None``: there is none): an instance administrator is owner everywhere."""
    if is_admin:
        return Role.OWNER
    return Role(role) if role else None


def granted(role: Role | None, *, is_admin: bool) -> frozenset[Scope]:
    """What somebody may do who has ``role`` in a workspace; ``None``: is no member of it."""
    if is_admin:
        return EVERYTHING
    return GRANTS[role] if role is not None else _ACCOUNT


def lowest(scope: Scope) -> Role | None:
    """The lowest role that grants ``scope``; ``None`` when none does."""
    return _LOWEST[scope]
