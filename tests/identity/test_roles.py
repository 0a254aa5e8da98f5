"""What roles grant: docs/identity.md's table, said again here by hand."""

from __future__ import annotations

import pytest

from example.identity.roles import GRANTS, Role, granted, lowest
from example.identity.scopes import Scope, closure, family, highest

ADDED = {
    Role.VIEWER: "packages:read environments:read jobs:read fcs:read tokens:read tokens:write tokens:admin",
    Role.DEVELOPER: "packages:publish environments:write environments:activate jobs:cancel fcs:write fcs:analyze",
    Role.MAINTAINER: "packages:delete packages:admin webhooks:read webhooks:write audit:read",
    Role.OWNER: "audit:export",
}
ACCOUNT = {scope for scope in Scope if family(scope) in ("users", "workspaces")}


@pytest.mark.parametrize("role", Role)
def test_a_role_grants_what_its_line_says_and_what_lower_roles_do(role: Role) -> None:
    lines = [ADDED[lower] for lower in Role if role.covers(lower)]
    assert {scope.value for scope in GRANTS[role] - ACCOUNT} == set(" ".join(lines).split())


@pytest.mark.parametrize("role", [None, *Role])
def test_what_is_about_the_account_needs_no_role(role: Role | None) -> None:
    assert granted(role, is_admin=False) >= ACCOUNT


def test_who_is_no_member_is_granted_nothing_else() -> None:
    assert granted(None, is_admin=False) == ACCOUNT


@pytest.mark.parametrize("role", [None, *Role])
def test_an_administrator_is_granted_everything(role: Role | None) -> None:
    assert granted(role, is_admin=True) == set(Scope)


def test_the_instance_is_no_roles_business() -> None:
    assert lowest(Scope.SYSTEM_READ) is None
    assert lowest(Scope.SYSTEM_ADMIN) is None


def test_the_lowest_role_that_would_do_is_known() -> None:
    assert lowest(Scope.PACKAGES_READ) is Role.VIEWER
    assert lowest(Scope.ENVIRONMENTS_ACTIVATE) is Role.DEVELOPER
    assert lowest(Scope.PACKAGES_DELETE) is Role.MAINTAINER
    assert lowest(Scope.AUDIT_EXPORT) is Role.OWNER


@pytest.mark.parametrize("role", Role)
def test_the_highest_rungs_give_back_what_a_role_grants(role: Role) -> None:
    assert closure(highest(GRANTS[role])) == GRANTS[role]
