"""What the matrix needs; and two server processes on one database: what one of them changes, the other must know."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from example.audit.writer import AuditWriter
from example.config import Settings
from example.db import Database
from example.identity import passwords
from tests import databases
from tests.authorisation.oracle import PASSWORD
from tests.authorisation.world import EASY
from tests.databases import PostgresServer
from tests.nixstore import make_settings
from tests.service import API, UNWANTED, Service, expect, serving

_numbers = itertools.count(1)


@pytest.fixture
def matrix_settings(settings: Settings) -> Settings:
    """No limits and no log: neither is what this is about. Nobody gets a token without credentials."""
    names = ("anonymous", "authenticated", "search", "login", "pat")
    unlimited = {f"rate_limit_{name}": "" for name in names}
    return settings.model_copy(update={"anonymous_tokens": "never", "log_level": "ERROR", **unlimited})


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what would take minutes in so many cells, and decides nothing: Argon2 and the queue of the audit."""

    async def at_once(work: Callable[..., object], *arguments: object, **named: object) -> object:
        return work(*arguments, **named)

    async def nowhere(_writer: AuditWriter, _entry: object) -> None: ...

    monkeypatch.setattr(passwords, "_hasher", EASY)
    monkeypatch.setattr(passwords, "require_good", lambda *_given, **_named: None)
    monkeypatch.setattr(passwords, "aside", at_once)
    monkeypatch.setattr(AuditWriter, "put", nowhere)


@dataclass
class Person:
    """Somebody with an account, logged in."""

    name: str
    session: str
    refresh_token: str

    def headers(self, workspace: str | None = None, token: str | None = None) -> dict[str, str]:
        """Headers with the session, or with a token; ``workspace`` is where a session acts."""
        named = {"X-Workspace": workspace} if workspace and not token else {}
        return {"Authorization": f"Bearer {token or self.session}", **named}


@dataclass
class Pair:
    """Two processes on one database, the database itself as a third process sees it, and the people of this test."""

    one: Service
    two: Service
    database: Database
    everybody: list[Person] = field(default_factory=list)

    def ask(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> list[httpx.Response]:
        """The same request to each process, the second first."""
        return [service.http.request(method, API + path, json=body, headers=headers) for service in (self.two, self.one)]

    def person(self) -> Person:
        """A new account, logged in: a developer of ``default``."""
        name = f"person{next(_numbers)}"
        account = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
        expect(self.one.post("/auth/register", account, headers=self.one.anonymous()), 201)
        return self.log_in(name)

    def log_in(self, name: str, password: str = PASSWORD) -> Person:
        """Another session of somebody."""
        credentials = {"username": name, "password": password}
        granted = expect(self.one.post("/auth/login", credentials, headers=self.one.anonymous()), 200)
        return Person(name, granted["token"], granted["refresh_token"])

    def workspace(self, owner: Person) -> str:
        """A new workspace."""
        name = f"team{next(_numbers)}"
        expect(self.one.post("/workspaces", {"name": name}, headers=owner.headers()), 201)
        return name

    def join(self, owner: Person, workspace: str, member: Person, role: str) -> None:
        """Make somebody a member, or give them another role."""
        path = f"{API}/workspaces/{workspace}/members/{member.name}"
        expect(self.one.http.put(path, json={"role": role}, headers=owner.headers()), 200)

    def token(self, person: Person, workspace: str) -> dict[str, Any]:
        """A new token of somebody in a workspace, with all that their role gives."""
        return dict(expect(self.one.post("/tokens", {}, headers=person.headers(workspace)), 201))


@pytest.fixture(scope="module", params=databases.KINDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two processes on each database, once a module."""
    base, folder = tmp_path_factory.getbasetemp(), tmp_path_factory.mktemp("pair")
    if request.param == "sqlite":
        url = databases.sqlite_url(base / "template.db", folder)
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.create(base)
    settings = make_settings(folder / "data", database_url=url, jobs_in_web=False, log_level="ERROR")
    database = Database(settings)
    with ExitStack() as running:
        one, two = (running.enter_context(serving(settings, folder / name))[1] for name in ("one", "two"))
        yield Pair(one, two, database)
    database.close()


@pytest.fixture(scope="module", autouse=True)
def uncovered() -> Iterator[None]:
    """Server processes without coverage: there are many requests, and other tests cover the same."""
    UNWANTED.add("COVERAGE_PROCESS_CONFIG")
    yield
    UNWANTED.clear()
