"""The world of the matrix: two workspaces, callers of every kind with tokens of every scope set, and rows for them to reach for.

``alpha`` is the callers' workspace, ``beta`` the other one. Everything of ``beta`` carries ``SECRET``, which nobody else may ever read.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy.orm import Session

from example.app import create_app
from example.config import Settings
from example.db import Database
from example.identity import access_tokens, tokens
from example.identity.keys import Keys
from example.models import (
    Environment,
    Generation,
    Invitation,
    Job,
    LoginSession,
    Member,
    Package,
    PackageCount,
    Token,
    User,
    Workspace,
    now,
)
from example.web.services import Services
from tests.authorisation.direct import Headers
from tests.authorisation.oracle import (
    ADMINISTRATOR,
    ANONYMOUS,
    CALLERS,
    PASSWORD,
    ROLES,
    SCOPE_SETS,
    SCOPES,
    SESSION,
    About,
    Cell,
    Target,
)

ALPHA, BETA = "alpha", "beta"
COLLEAGUE, STRANGER = "colleague", "stranger"
SECRET = b"hiddenfromyou"
TREE = "/nowhere/store/x-environment"
EASY = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Argon2 for those who are no attackers and have no time."""

Rows = dict[str, str]
Row = TypeVar("Row")


class World:
    """What was made, and how a cell's request looks in it."""

    def __init__(self, session: Session, services: Services) -> None:
        self._session, self._services = session, services
        self._keys: Keys = services.core.keys
        self._users: dict[str, User] = {}
        self._workspaces: dict[str, Workspace] = {}
        self._rows: dict[tuple[str, Target], Rows] = {}
        self._headers: dict[tuple[str, tuple[str, ...], str], tuple[bytes, bytes]] = {}
        self._bodies: dict[str, str] = {}
        self._people()
        for name, maker, hidden in ((ALPHA, COLLEAGUE, ""), (BETA, STRANGER, SECRET.decode())):
            self._rows[name, Target.SAME] = self._rows_of(name, maker, hidden)
            self._environment(name)
        for caller in CALLERS:
            self._caller(caller)
        self._secrets_in_bodies()

    def request(self, cell: Cell) -> tuple[str, Headers, Any]:
        """Path, headers and body of a cell's request."""
        headers = [self._headers[cell.caller, cell.scopes, cell.credential]] if cell.caller != ANONYMOUS else []
        workspace = BETA if cell.target is Target.NAMED else ALPHA if cell.credential == SESSION and not cell.line.of_account else None
        if workspace is not None and (cell.line.scope is not None or workspace == BETA):
            headers.append((b"x-workspace", workspace.encode()))
        path = cell.line.path
        for name, value in self._rows_for(cell).items():
            path = path.replace(f"<{name}>", value)
        body = cell.line.body
        if isinstance(body, dict):
            body = {name: self._bodies.get(value, value) if isinstance(value, str) else value for name, value in body.items()}
        return path + "/favicon.png" * path.endswith("-assets"), headers, body

    def _rows_for(self, cell: Cell) -> Rows:
        """The rows that a cell's path names. What anonymous callers call their own is the viewer's."""
        caller = cell.caller if cell.caller != ANONYMOUS else ROLES[0]
        match cell.target:
            case Target.OWN:
                made = {"workspace": f"of-{caller}"} if cell.line.about is About.WORKSPACE else {"workspace": ALPHA}
                return self._rows[caller, Target.OWN] | made
            case Target.SAME:
                return self._rows[ALPHA, Target.SAME]
            case _:
                return self._rows[BETA, Target.SAME]

    def _people(self) -> None:
        for name in (COLLEAGUE, STRANGER, "keeper", "other-stranger", *CALLERS):
            self._users[name] = self._add(User(username=name, email=f"{name}@example.com", is_admin=name == ADMINISTRATOR))
        self._users[COLLEAGUE].password_hash = EASY.hash(PASSWORD)
        self._workspace(ALPHA, {**{role: role for role in ROLES}, COLLEAGUE: "developer", "keeper": "owner"})
        self._workspace(BETA, {STRANGER: "owner", "other-stranger": "owner"}, SECRET.decode())
        for caller in CALLERS:
            self._workspace(f"of-{caller}", {caller: "owner"})

    def _workspace(self, name: str, members: dict[str, str], description: str = "") -> None:
        made = self._workspaces[name] = self._add(Workspace(name=name, description=description))
        for username, role in members.items():
            self._add(Member(workspace_id=made.id, user_id=self._users[username].id, role=role))

    def _caller(self, caller: str) -> None:
        self._rows[caller, Target.OWN] = self._rows_of(ALPHA, caller, "")
        for scopes in SCOPE_SETS:
            text, _ = self._token(ALPHA, caller, scopes)
            basic = base64.b64encode(f"__token__:{text}".encode()).decode()
            for scheme, value in (("Bearer", text), ("Token", text), ("Basic", basic)):
                self._headers[caller, scopes, scheme] = b"authorization", f"{scheme} {value}".encode()
        sid, user_id = self._log_in(caller)[0], self._users[caller].id
        token, _ = access_tokens.issue(self._keys.sessions[0], sid=sid, user_id=user_id, moment=now())
        self._headers[caller, SCOPES, SESSION] = b"authorization", f"Bearer {token}".encode()

    def _rows_of(self, workspace: str, maker: str, hidden: str) -> Rows:
        """A package, its job and a token that can do nothing, of ``maker``."""
        where, by = self._workspaces[workspace].id, self._users[maker].id
        package = self._add(
            Package(workspace_id=where, source="nix", name=f"{hidden or 'tool'}-{maker}", version="1.0", status="created", created_by=by)
        )
        task_id = str(uuid.uuid4())
        self._add(Job(task_id=task_id, workspace_id=where, package_id=package.id, kind="download", label=package.name, created_by=by))
        _, token_id = self._token(workspace, maker, (), f"{hidden}-{maker}")
        return {"package": str(package.id), "job": task_id, "token": str(token_id), "user": maker, "workspace": workspace}

    def _token(self, workspace: str, owner: str, scopes: tuple[str, ...], name: str = "token") -> tuple[str, int]:
        secret = tokens.mint()
        made = self._add(
            Token(
                workspace_id=self._workspaces[workspace].id,
                owner_id=self._users[owner].id,
                name=name,
                kind="pat",
                public_id=secret.public_id,
                digest=tokens.digest(self._keys.tokens[0], secret),
                scopes=list(scopes),
                created_by=self._users[owner].id,
                expires_at=now() + timedelta(days=90),
                last_used_at=now(),  # noted already, so that the gate doesn't
            )
        )
        return secret.text, made.id

    def _log_in(self, username: str) -> tuple[str, str]:
        secret = tokens.mint(tokens.REFRESH)
        digest = tokens.digest(self._keys.tokens[0], secret)
        self._add(
            LoginSession(
                sid=secret.public_id, user_id=self._users[username].id, refresh_digest=digest, expires_at=now() + timedelta(days=1)
            )
        )
        return secret.public_id, secret.text

    def _environment(self, workspace: str) -> None:
        """An environment whose generation 1, an empty tree, is live."""
        made = self._add(Environment(workspace_id=self._workspaces[workspace].id, source="nix", name="default", generation=1))
        self._add(Generation(environment_id=made.id, number=1, store_path=TREE))
        self._add(PackageCount(workspace_id=self._workspaces[workspace].id, source="nix", status="created", packages=10))
        profile = self._services.host.profile(made.id)
        profile.parent.mkdir(parents=True)
        profile.with_name("profile-1-link").symlink_to(TREE)
        profile.symlink_to("profile-1-link")

    def _secrets_in_bodies(self) -> None:
        invitation = tokens.mint(tokens.INVITATION)
        digest = tokens.digest(self._keys.tokens[0], invitation)
        where = self._workspaces[ALPHA].id
        self._add(Invitation(digest=digest, workspace_id=where, role="viewer", expires_at=now() + timedelta(days=1)))
        self._bodies = {"<invitation>": invitation.text, "<refresh>": self._log_in(COLLEAGUE)[1]}

    def _add(self, row: Row) -> Row:
        self._session.add(row)
        self._session.flush()
        return row


@asynccontextmanager
async def still_world(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[FastAPI, World]]:
    """The app in this event loop, and its world, in which from then on no transaction commits."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        services = app.state.services
        world = services.core.database.transact(lambda session: World(session, services))
        monkeypatch.setattr(Database, "begin", _rolled_back)
        yield app, world


@contextmanager
def _rolled_back(database: Database) -> Iterator[Session]:
    """In the place of ``Database.begin``: everything is done, and nothing stays, so that no request changes the next one's world."""
    with database._sessions() as session:
        session.begin()
        try:
            yield session
            session.flush()
            session.expunge_all()
        finally:
            session.rollback()
