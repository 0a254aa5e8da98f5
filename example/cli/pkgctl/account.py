"""What the server knows of the caller: the account, its workspaces, and the token in use. Owns which answers may be missing."""

from dataclasses import dataclass
from typing import Any

from .errors import Refused
from .server import Server

_KIND, _SHOWN = "pm_pat_", 8  # the form of a token, and how much of its id lists show


@dataclass(frozen=True)
class Account:
    """`GET /users/me`, or nothing of it when the token may not read that."""

    record: dict[str, Any]

    @property
    def username(self) -> str | None:
        """The user name."""
        name = self.record.get("username")
        return name if isinstance(name, str) else None

    @property
    def is_admin(self) -> bool:
        """Whether they administer the instance."""
        return self.record.get("is_admin") is True

    @property
    def roles(self) -> dict[str, str]:
        """Their workspaces and what they are there."""
        found = self.record.get("workspaces")
        entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
        return {str(entry.get("name")): str(entry.get("role")) for entry in entries}

    def role_in(self, workspace: str | None) -> str | None:
        """What they are there; an administrator is owner everywhere."""
        return self.roles.get(workspace or "") or ("owner (administrator)" if self.is_admin else None)


def read_account(server: Server) -> Account:
    """The caller's account. Raises Refused."""
    return Account(_unless_forbidden(server, "/users/me"))


def read_token(server: Server, token: str, token_id: int | None) -> dict[str, Any]:
    """The token in use as the server lists it, without its secret; nothing when it may not see itself. Raises Refused."""
    if token_id is not None:
        return _unless_forbidden(server, f"/tokens/{token_id}")
    prefix = prefix_of(token)
    try:
        entries = (entry for page in server.pages("/tokens", {"limit": 1000}) for entry in page.records)
        return next((entry for entry in entries if prefix and entry.get("prefix") == prefix), {})
    except Refused as refused:
        if refused.status != 403:
            raise
        return {}


def prefix_of(token: str) -> str | None:
    """The part of a token that may be shown."""
    return token[: len(_KIND) + _SHOWN] if token.startswith(_KIND) else None


def _unless_forbidden(server: Server, path: str) -> dict[str, Any]:
    try:
        return server.get(path).record
    except Refused as refused:
        if refused.status != 403 or refused.code != "insufficient_scope":
            raise
        return {}
