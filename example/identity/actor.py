"""The actor: who calls, proven by a credential, where, and what that lets them do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from example.errors import InsufficientRole, InsufficientScope, NotFound, ResourceNotInToken
from example.identity.patterns import matches
from example.identity.roles import Role, granted, lowest
from example.identity.scopes import Scope

Credential = Literal["pat", "session"]


@dataclass(frozen=True)
class Actor:
    """A caller whose credential was verified on this request.

    ``role`` is theirs in the workspace that the request is about (``None``: no member). A session has every scope, no limits, no token.
    ``label`` is what messages call the credential; ``expires_at`` is its end.
    """

    user_id: int
    username: str
    is_admin: bool
    workspace_id: int
    workspace: str
    role: Role | None
    credential: Credential
    label: str
    token_id: int | None
    token_prefix: str | None
    session_id: int | None
    token_scopes: tuple[str, ...]
    scopes: frozenset[Scope]
    resources: tuple[str, ...]
    allowed_ips: tuple[str, ...]
    expires_at: datetime

    def require(self, scope: Scope) -> None:
        """Raises:
        NotFound: the caller is no member of the workspace.
        InsufficientScope: the token doesn't carry ``scope``, nor a higher rung of its ladder.
        InsufficientRole: the caller's role doesn't grant it.
        """
        rights, needed = granted(self.role, is_admin=self.is_admin), lowest(scope)
        if self.role is None and needed is not None and scope not in rights:
            raise no_workspace(self.workspace)
        if scope not in self.scopes:
            raise InsufficientScope(
                f"this needs the scope {scope.value!r}, which the {self.label} does not have; create a token with it",
                required_scope=scope.value,
                your_scopes=list(self.token_scopes),
            )
        if scope not in rights:
            raise insufficient_role(self.role, needed, f"the workspace {self.workspace!r}")

    def require_resource(self, name: str) -> None:
        """Raises:
        ResourceNotInToken: the token is limited to other package names.
        """
        if not matches(self.resources, name):
            raise ResourceNotInToken(
                f"the {self.label} is limited to {', '.join(self.resources)}, and {name!r} is not among them",
                resource=name,
                your_resources=list(self.resources),
            )

    def require_unlimited(self, what: str) -> None:
        """Raises:
        ResourceNotInToken: the token is limited to some packages or addresses, and ``what`` would reach beyond.
        """
        if self.resources or self.allowed_ips:
            limits = ", ".join((*self.resources, *self.allowed_ips))
            raise ResourceNotInToken(f"the {self.label} is limited to {limits}, and {what} reaches beyond; use one without limits")


def no_workspace(name: str) -> NotFound:
    """The one answer for a workspace that isn't there and for one that the caller may not see."""
    return NotFound(f"there is no workspace {name[:64]!r} that you can see; list yours with GET /api/v1/workspaces")


def insufficient_role(role: Role | None, needed: Role | None, where: str) -> InsufficientRole:
    """The refusal that names the role which would do; ``needed`` ``None``: only an instance administrator may."""
    if needed is None:
        return InsufficientRole("this is for instance administrators", required_role="administrator", your_role=role)
    return InsufficientRole(
        f"this needs the role {needed.value}, and yours in {where} is {role.value if role else 'none'}; ask an owner of it",
        required_role=needed.value,
        your_role=role,
    )
