"""The oracle: who may do what, written by hand from the issue, DESIGN.md, SECURITY.md and docs/identity.md.

Imports nothing of the service, so that the two can disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

LADDERS = (
    "workspaces:read workspaces:write workspaces:delete workspaces:admin",
    "users:read users:write",
    "fcs:read fcs:write fcs:analyze",
    "packages:read packages:publish packages:delete packages:admin",
    "environments:read environments:write environments:activate",
    "jobs:read jobs:cancel",
    "tokens:read tokens:write tokens:admin",
    "webhooks:read webhooks:write",
    "audit:read audit:export",
    "system:read system:admin",
)
"""SECURITY.md, "Authorisation": the higher, which is further right, includes the lower, never across families."""

SCOPES = tuple(scope for ladder in LADDERS for scope in ladder.split())
OPENS = {scope: frozenset(ladder.split()[ladder.split().index(scope) :]) for ladder in LADDERS for scope in ladder.split()}
"""By scope: itself and the higher rungs, any of which a token must have."""

NONE: tuple[str, ...] = ()
SCOPE_SETS: tuple[tuple[str, ...], ...] = (NONE, *((scope,) for scope in SCOPES), SCOPES)

ROLES = ("viewer", "developer", "maintainer", "owner")
OUTSIDER, ADMINISTRATOR, ANONYMOUS = "outsider", "administrator", "anonymous"
CALLERS = (*ROLES, OUTSIDER, ADMINISTRATOR)
RANKS = (*ROLES, ADMINISTRATOR)
PATS = ("Bearer", "Token", "Basic")
SESSION = "session"
CREDENTIALS = (*PATS, SESSION)

ALLOWED = "allowed"
MISSING = "401 credentials_missing"
NO_SESSION = "403 forbidden"
NO_SCOPE = "403 insufficient_scope"
NO_ROLE = "403 insufficient_role"
INVISIBLE = "404 not_found"


class Target(StrEnum):
    """What a request is about, as the caller sees it. ``NAMED`` names the other workspace in X-Workspace, ``OTHER`` names its rows only."""

    OWN = "own"
    SAME = "same workspace"
    OTHER = "other workspace"
    NAMED = "other workspace, named"


class About(StrEnum):
    """What kind of thing an operation is about."""

    NOTHING = "nothing"
    ROW = "a package or job"
    TOKEN = "a token"
    WORKSPACE = "a workspace"
    MEMBER = "a member"
    USER = "a user"
    END = "the session"


@dataclass(frozen=True)
class Line:
    """An operation: what a token needs for it, the lowest role, and the status of a good answer."""

    method: str
    path: str
    scope: str | None
    role: str | None
    good: int
    body: Any = None

    @property
    def about(self) -> About:
        """What the path names."""
        if self.path.endswith("/auth/logout"):
            return About.END
        kinds = {"<package>": About.ROW, "<job>": About.ROW, "<token>": About.TOKEN, "<user>": About.USER, "<workspace>": About.WORKSPACE}
        if "<workspace>" in self.path and "<user>" in self.path:
            return About.MEMBER
        return next((kind for name, kind in kinds.items() if name in self.path), About.NOTHING)

    @property
    def of_account(self) -> bool:
        """``users:*`` and ``workspaces:*`` are about the account: the workspace of the request doesn't count."""
        return self.scope is not None and self.scope.partition(":")[0] in ("users", "workspaces")

    def targets(self) -> tuple[Target, ...]:
        """Those that differ: what names no row is the caller's workspace, or another that is named."""
        return tuple(Target) if self.about not in (About.NOTHING, About.END) else (Target.OWN, Target.NAMED)


V, D, M, O = ROLES  # noqa: E741
API = "/api/v1"
PASSWORD = "seven lazy otters at dawn"

TABLE: tuple[Line, ...] = (
    # Everybody.
    Line("GET", "/hello", None, None, 200),
    Line("GET", "/health", None, None, 200),
    Line("GET", "/health/ready", None, None, 200),
    Line("GET", "/docs", None, None, 200),
    Line("GET", "/redoc", None, None, 200),
    Line("GET", "/openapi.json", None, None, 200),
    Line("GET", "/docs-assets", None, None, 200),
    Line("GET", f"{API}/version", None, None, 200),
    Line("GET", f"{API}/scopes", None, None, 200),
    Line("POST", f"{API}/auth/register", None, None, 201, {"username": "newcomer", "email": "new@example.com", "password": PASSWORD}),
    Line("POST", f"{API}/auth/login", None, None, 200, {"username": "colleague", "password": PASSWORD}),
    Line("POST", f"{API}/auth/refresh", None, None, 200, {"refresh_token": "<refresh>"}),
    Line("POST", f"{API}/auth/logout", None, None, 200),
    # Packages, jobs, environments: of the workspace in which the request acts.
    Line("GET", f"{API}/packages", "packages:read", V, 200),
    Line("POST", f"{API}/packages", "packages:publish", D, 201, {"name": "fresh", "version": "1.0"}),
    Line("GET", f"{API}/package/<package>", "packages:read", V, 200),
    Line("DELETE", f"{API}/package/<package>", "packages:delete", M, 204),
    Line("POST", f"{API}/package/<package>/download", "environments:activate", D, 202),
    Line("POST", f"{API}/package/<package>/activate", "environments:activate", D, 409),
    Line("POST", f"{API}/package/<package>/deactivate", "environments:activate", D, 200),
    Line("GET", f"{API}/jobs", "jobs:read", V, 200),
    Line("GET", f"{API}/jobs/<job>", "jobs:read", V, 200),
    Line("GET", f"{API}/jobs/<job>/log", "jobs:read", V, 200),
    Line("POST", f"{API}/jobs/<job>/cancel", "jobs:cancel", D, 200),
    Line("GET", f"{API}/environments", "environments:read", V, 200),
    Line("GET", f"{API}/environments/nix/default", "environments:read", V, 200),
    Line("GET", f"{API}/environments/nix/default/generations", "environments:read", V, 200),
    Line("POST", f"{API}/environments/nix/default/rollback", "environments:activate", D, 200, {"to": 1}),
    Line("POST", f"{API}/environments/nix/default/switch", "environments:activate", D, 200, {"generation": 1}),
    # Tokens: everybody their own, in their workspace.
    Line("GET", f"{API}/tokens", "tokens:read", V, 200),
    Line("POST", f"{API}/tokens", "tokens:write", V, 201, {"scopes": ["tokens:read"], "expires_in_days": 7}),
    Line("GET", f"{API}/tokens/<token>", "tokens:read", V, 200),
    Line("GET", f"{API}/tokens/<token>/logs", "tokens:read", V, 200),
    Line("POST", f"{API}/tokens/<token>/regenerate", "tokens:write", V, 200),
    Line("PUT", f"{API}/tokens/<token>/allowed-ips", "tokens:write", V, 200, {"allowed_ips": ["10.0.0.0/8"]}),
    Line("DELETE", f"{API}/tokens/<token>", "tokens:write", V, 200),
    Line("DELETE", f"{API}/token/<token>", "tokens:write", V, 200),
    Line("DELETE", f"{API}/tokens/all", "tokens:admin", V, 200),
    # The account.
    Line("GET", f"{API}/users/me", "users:read", None, 200),
    Line("PUT", f"{API}/users/me", "users:write", None, 200, {}),
    Line("POST", f"{API}/users/me/invitations", "users:write", None, 200, {"invitation": "<invitation>"}),
    Line("GET", f"{API}/users/<user>", "users:read", None, 200),
    # Workspaces: the role is that in the workspace which the path names.
    Line("GET", f"{API}/workspaces", "workspaces:read", None, 200),
    Line("POST", f"{API}/workspaces", "workspaces:write", None, 201, {"name": "fresh"}),
    Line("GET", f"{API}/workspaces/<workspace>", "workspaces:read", V, 200),
    Line("DELETE", f"{API}/workspaces/<workspace>", "workspaces:delete", O, 409),
    Line("GET", f"{API}/workspaces/<workspace>/settings", "workspaces:read", V, 200),
    Line("PUT", f"{API}/workspaces/<workspace>/settings", "workspaces:write", M, 200, {"description": "another"}),
    Line("GET", f"{API}/workspaces/<workspace>/members", "workspaces:read", V, 200),
    Line("POST", f"{API}/workspaces/<workspace>/invitations", "workspaces:write", M, 201, {"role": "viewer"}),
    Line("PUT", f"{API}/workspaces/<workspace>/members/<user>", "workspaces:write", M, 200, {"role": "viewer"}),
    Line("DELETE", f"{API}/workspaces/<workspace>/members/<user>", "workspaces:write", M, 204),
    # The audit.
    Line("GET", f"{API}/audit", "audit:read", M, 200),
    Line("GET", f"{API}/audit/export", "audit:export", O, 200),
    Line("GET", f"{API}/audit?all=true", "audit:read", ADMINISTRATOR, 200),
    Line("GET", f"{API}/audit/export?all=true", "audit:export", ADMINISTRATOR, 200),
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One request of the matrix."""

    line: Line
    target: Target
    caller: str
    scopes: tuple[str, ...] = NONE
    credential: str = "none"

    def __str__(self) -> str:
        scopes = "every scope" if self.scopes == SCOPES else " ".join(self.scopes) or "no scope"
        who = self.caller if self.caller == ANONYMOUS else f"{self.caller} with {scopes} as {self.credential}"
        return f"{self.line.method} {self.line.path} of {self.target} by {who}"


def cells(table: tuple[Line, ...] = TABLE) -> Iterator[Cell]:
    """The whole matrix, one operation after the other. A session has every scope, so it comes once."""
    for line in table:
        for target in line.targets():
            yield Cell(line, target, ANONYMOUS)
            for caller in CALLERS:
                for scopes in SCOPE_SETS:
                    for credential in PATS:
                        yield Cell(line, target, caller, scopes, credential)
                yield Cell(line, target, caller, SCOPES, SESSION)


def expected(cell: Cell) -> str:
    """The answer that the cell must have, in the order of docs/identity.md: 401, 404 for the workspace, 403 for the scope, 403 for the
    role, and then the row itself.
    """
    line = cell.line
    if line.scope is None and line.about is not About.END:
        return ALLOWED
    if cell.caller == ANONYMOUS:
        return MISSING
    if not _acts_somewhere_they_see(cell):
        return INVISIBLE
    if line.about is About.END:
        return ALLOWED if cell.credential == SESSION else NO_SESSION
    if line.scope is None or not OPENS[line.scope] & set(cell.scopes):
        return NO_SCOPE
    return _by_role(cell, line)


def _acts_somewhere_they_see(cell: Cell) -> bool:
    """A token acts in its own workspace only. A session in any that its user is a member of; an administrator's in all."""
    if cell.target is Target.NAMED:
        return cell.credential == SESSION and cell.caller == ADMINISTRATOR
    return cell.line.scope is None or cell.line.of_account or cell.caller != OUTSIDER


def _by_role(cell: Cell, line: Line) -> str:
    needed, role = line.role, _role(cell)
    if needed is None:
        return ALLOWED
    if line.about is About.MEMBER and line.method == "DELETE" and cell.target is Target.OWN:
        needed = V  # everybody may leave
    if role is None:
        return INVISIBLE
    if RANKS.index(role) < RANKS.index(needed):
        return NO_ROLE
    return ALLOWED if _sees(cell) else INVISIBLE


def _role(cell: Cell) -> str | None:
    """The caller's role where it counts; ``None``: what they may not see."""
    if cell.caller == ADMINISTRATOR:
        return ADMINISTRATOR
    if cell.line.about in (About.WORKSPACE, About.MEMBER) and cell.target is Target.OTHER:
        return None
    if cell.line.about is About.WORKSPACE and cell.target is Target.OWN:
        return O  # they have made it
    return cell.caller if cell.caller in ROLES else None


def _sees(cell: Cell) -> bool:
    """Whether the row is there for a caller who may do this in the workspace of the request."""
    match cell.line.about:
        case About.ROW:
            return cell.target is not Target.OTHER
        case About.TOKEN:
            return cell.target is Target.OWN
        case About.MEMBER if cell.line.method == "DELETE" and cell.target is Target.OWN:
            return cell.caller != ADMINISTRATOR  # who is no member: nobody to remove
        case _:
            return True


def good_statuses(cell: Cell) -> set[int]:
    """What an allowed request answers."""
    if cell.line.about is About.WORKSPACE and cell.line.method == "DELETE":
        return {204} if cell.target is Target.OWN else {409}  # the others hold packages
    return {cell.line.good}
