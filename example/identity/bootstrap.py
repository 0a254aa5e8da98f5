"""The first token: who may have one without credentials, and whose it is."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from example.db import insert_for
from example.errors import Unauthenticated
from example.identity.issuing import IssuedToken, TokenRequest, issue_first
from example.identity.roles import Role
from example.models import Member, User, Workspace
from example.models.schema import DEFAULT_WORKSPACE

LOCAL_USER = "local"
ADMINISTRATOR = "admin"
_PASSED_ON = frozenset({"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "origin"})


def is_direct_loopback(peer: str | None, headers: Mapping[str, str]) -> bool:
    """Whether a request comes straight from a program on this machine: not through a proxy, not from a page in a browser."""
    if peer is None or not _is_loopback(peer):
        return False
    if any(name in _PASSED_ON or name.startswith("x-forwarded-") for name in headers):  # ASGI: names are lower case
        return False
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return False
    host = headers.get("host", "")
    return _is_loopback(host[1 : host.find("]")] if host.startswith("[") else host.rsplit(":", 1)[0])


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_anonymous_allowed(rule: Literal["loopback", "always", "never"], *, loopback: bool) -> None:
    """Raises:
    Unauthenticated: ``rule`` doesn't let this caller have a token without credentials; says how to get one.
    """
    if rule == "always" or (rule == "loopback" and loopback):
        return
    if rule == "never":
        raise Unauthenticated(
            "this instance gives no token without credentials: an administrator makes the first one with example-init "
            "(it prints it once); send it as: Authorization: Bearer pm_pat_…"
        )
    raise Unauthenticated(
        "a first token without credentials is only for programs on the server's own machine, directly over the loopback address: "
        "run the request there, or send a token as: Authorization: Bearer pm_pat_…"
    )


def claim(session: Session, username: str) -> bool:
    """Make the user ``username`` who wasn't there before an administrator, and owner of the workspace ``default``; of several who try at
    once, one succeeds.
    """
    made = insert_for(session)(User).values(username=username, is_admin=True).on_conflict_do_nothing().returning(User.id)
    user_id = session.scalar(made)
    if user_id is None:
        return False
    workspace_id = session.scalars(select(Workspace.id).where(Workspace.name == DEFAULT_WORKSPACE)).one()
    session.add(Member(workspace_id=workspace_id, user_id=user_id, role=Role.OWNER))
    return True


def first_token(session: Session, pepper: bytes, *, username: str, request: TokenRequest) -> IssuedToken:
    """A token for the instance's own user ``username``, who comes into being as administrator at the first call."""
    claim(session, username)
    user_id = session.scalars(select(User.id).where(User.username == username)).one()
    workspace_id = session.scalars(select(Workspace.id).where(Workspace.name == DEFAULT_WORKSPACE)).one()
    return issue_first(session, pepper, workspace_id=workspace_id, user_id=user_id, request=request)
