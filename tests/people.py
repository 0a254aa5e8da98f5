"""People with accounts: made in the database, so that a test pays for Argon2 only where it logs somebody in."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
from sqlalchemy import select
from sqlalchemy.orm import Session

from example.db import Database
from example.identity import accounts, passwords
from example.identity.accounts import NewAccount
from example.identity.roles import Role
from example.models import User, Workspace
from tests.service import Service, expect

PASSWORD = "seven lazy otters at dawn"
_numbers = itertools.count(1)


@cache
def password_hash() -> str:
    """That of ``PASSWORD``, once a process."""
    return passwords.hashed(PASSWORD)


def a_name(beginning: str = "user") -> str:
    """A user name that no other test has."""
    return f"{beginning}{next(_numbers)}"


def add_user(
    session: Session, name: str, *, role: Role | None = None, workspace: str = "default", admin: bool = False, password: bool = False
) -> User:
    """An account with the address ``name@example.com``, a member of ``workspace`` when there is a ``role``."""
    made = accounts.create(session, NewAccount(name, f"{name}@example.com", password_hash() if password else None), is_admin=admin)
    if role is not None:
        where = session.scalars(select(Workspace.id).where(Workspace.name == workspace)).one()
        accounts.join(session, made.id, where, role)
    return made


@dataclass
class Person:
    """Somebody with an account, and a session once they have logged in."""

    service: Service
    name: str
    password: str = PASSWORD
    token: str = ""
    refresh_token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What their requests carry."""
        return {"Authorization": f"Bearer {self.token}"}

    def try_log_in(self, name: str | None = None, password: str | None = None) -> httpx.Response:
        """A log-in, whatever comes of it."""
        body = {"username": name or self.name, "password": password or self.password}
        return self.service.post("/auth/login", body, headers=self.service.anonymous())

    def log_in(self) -> Person:
        """A session of their own; another one each time, in another object."""
        return Person(self.service, self.name, self.password)._take(self.try_log_in())

    def try_refresh(self) -> httpx.Response:
        """An exchange of the refresh token, whatever comes of it."""
        return self.service.post("/auth/refresh", {"refresh_token": self.refresh_token}, headers=self.service.anonymous())

    def refresh(self) -> Person:
        """The session with its next tokens."""
        return Person(self.service, self.name, self.password)._take(self.try_refresh())

    def _take(self, answer: httpx.Response) -> Person:
        given = expect(answer, 200)
        self.token, self.refresh_token = given["token"], given["refresh_token"]
        return self

    def get(self, path: str) -> httpx.Response:
        return self.service.get(path, headers=self.headers)

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self.service.post(path, body, headers=self.headers)

    def put_me(self, **changes: Any) -> httpx.Response:
        return self.service.http.put("/api/v1/users/me", json=changes, headers=self.headers)


def somebody(service: Service, *, role: Role | None = Role.DEVELOPER, workspace: str = "default", admin: bool = False) -> Person:
    """A new person with ``PASSWORD``, not logged in."""
    name = a_name()
    transact(service, lambda session: add_user(session, name, role=role, workspace=workspace, admin=admin, password=True))
    return Person(service, name)


def database_of(service: Service) -> Database:
    """The database of a service in this process."""
    assert service.services is not None
    return service.services.core.database


def transact(service: Service, work: Any) -> Any:
    """Do something to the service's database."""
    return database_of(service).transact(work)
