"""The actor: who calls, proven by a token, and what that token lets them do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from example.errors import InsufficientScope, ResourceNotInToken
from example.identity.patterns import matches
from example.identity.scopes import Scope


@dataclass(frozen=True)
class Actor:
    """A caller whose token was verified on this request."""

    user_id: int
    username: str
    is_admin: bool
    workspace_id: int
    token_id: int
    token_prefix: str
    token_scopes: tuple[str, ...]
    scopes: frozenset[Scope]
    resources: tuple[str, ...]
    allowed_ips: tuple[str, ...]
    token_expires_at: datetime

    def require(self, scope: Scope) -> None:
        """Raises:
        InsufficientScope: the token doesn't carry ``scope``, nor a higher rung of its ladder.
        """
        if scope not in self.scopes:
            raise InsufficientScope(
                f"this needs the scope {scope.value!r}, which the token {self.token_prefix}… does not have; create a token with it",
                required_scope=scope.value,
                your_scopes=list(self.token_scopes),
            )

    def require_resource(self, name: str) -> None:
        """Raises:
        ResourceNotInToken: the token is limited to other package names.
        """
        if not matches(self.resources, name):
            raise ResourceNotInToken(
                f"the token {self.token_prefix}… is limited to {', '.join(self.resources)}, and {name!r} is not among them",
                resource=name,
                your_resources=list(self.resources),
            )
