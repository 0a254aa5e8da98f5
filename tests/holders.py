"""People for tests who need no password: each holds a token. Quicker than registering, or logging in."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from example.identity.issuing import TokenRequest, issue_first
from example.identity.roles import Role
from example.models import Workspace
from tests.people import add_user
from tests.service import Service


@dataclass(frozen=True)
class Holder:
    """Somebody; ``headers`` send their token."""

    name: str
    user_id: int
    headers: dict[str, str]


def holder(service: Service, name: str, role: str | None = None, workspace: str = "default") -> Holder:
    """Make an account, a member of ``workspace`` when there is a ``role``, and a token of theirs in it, with every scope."""
    assert service.services is not None
    database = service.services.core.database
    user_id = database.transact(lambda s: add_user(s, name, role=Role(role) if role else None, workspace=workspace).id)
    return Holder(name, user_id, _token(service, user_id, workspace))


def token_in(service: Service, who: Holder, workspace: str) -> dict[str, str]:
    """Headers with another token of somebody's, in ``workspace``."""
    return _token(service, who.user_id, workspace)


def _token(service: Service, user_id: int, workspace: str) -> dict[str, str]:
    assert service.services is not None
    core = service.services.core

    def issue(session: Session) -> str:
        where = session.scalars(select(Workspace.id).where(Workspace.name == workspace)).one()
        issued = issue_first(session, core.keys.tokens[0], workspace_id=where, user_id=user_id, request=TokenRequest())
        return issued.secret.text

    return {"Authorization": f"Bearer {core.database.transact(issue)}"}
