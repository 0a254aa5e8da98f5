"""The verbs on workspaces and members, without HTTP: above all that an owner always remains."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from example.config import Settings
from example.core import open_core
from example.db import Database
from example.errors import LastOwner, NotFound, PackageMasterError, WorkspaceExists
from example.identity import members, workspaces
from example.identity.actor import Actor
from example.identity.roles import EVERYTHING, Role
from example.models import Member, Workspace, now
from tests.people import add_user

ROUNDS = 30


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    core = open_core(settings)
    yield core.database
    core.close()


def actor(database: Database, name: str, *, is_admin: bool = False) -> Actor:
    """Somebody new, whose request acts in ``default``."""
    user_id = database.transact(lambda session: add_user(session, name, admin=is_admin).id)
    return Actor(user_id, name, is_admin, 1, "default", None, "session", name, None, None, 1, (), EVERYTHING, (), (), now())


def create(database: Database, who: Actor, name: str) -> str:
    return database.transact(lambda session: workspaces.create(session, who, name=name)).name


def owners(database: Database, name: str) -> int:
    with database.read() as session:
        query = select(func.count()).select_from(Member).join(Workspace, Workspace.id == Member.workspace_id)
        return session.scalar(query.where(Workspace.name == name, Member.role == Role.OWNER)) or 0


def at_once(database: Database, *verbs: Callable[[Session], object]) -> list[type[PackageMasterError] | None]:
    """Each verb in a transaction of its own, at the same moment; answers how each was refused."""
    ready = threading.Barrier(len(verbs))
    refusals: list[type[PackageMasterError] | None] = [None] * len(verbs)

    def run(position: int) -> None:
        ready.wait()
        try:
            database.transact(verbs[position])
        except PackageMasterError as error:
            refusals[position] = type(error)

    threads = [threading.Thread(target=run, args=(position,)) for position in range(len(verbs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refusals


def two_owners(database: Database, one: Actor, other: Actor, name: str) -> str:
    create(database, one, name)
    database.transact(lambda session: members.set_role(session, one, name, other.username, Role.OWNER))
    return name


def test_of_two_owners_who_remove_each_other_one_remains(database: Database) -> None:
    ada, bob = actor(database, "ada"), actor(database, "bob")
    for number in range(ROUNDS):
        name = two_owners(database, ada, bob, f"team{number}")
        refusals = at_once(
            database,
            partial(members.remove, actor=ada, name=name, username="bob"),
            partial(members.remove, actor=bob, name=name, username="ada"),
        )
        assert sorted(map(str, refusals)) == sorted(map(str, [None, NotFound])) and owners(database, name) == 1


def test_of_two_last_owners_who_leave_at_once_one_stays(database: Database) -> None:
    ada, bob = actor(database, "ada"), actor(database, "bob")
    for number in range(ROUNDS):
        name = two_owners(database, ada, bob, f"team{number}")
        refusals = at_once(
            database,
            partial(members.remove, actor=ada, name=name, username="ada"),
            partial(members.set_role, actor=bob, name=name, username="bob", role=Role.VIEWER),
        )
        assert sorted(map(str, refusals)) == sorted(map(str, [None, LastOwner])) and owners(database, name) == 1


def test_not_even_two_administrators_at_once_leave_a_workspace_without_an_owner(database: Database) -> None:
    ada, bob = actor(database, "ada"), actor(database, "bob")
    roots = [actor(database, name, is_admin=True) for name in ("roota", "rootb")]
    for number in range(ROUNDS):
        name = two_owners(database, ada, bob, f"team{number}")
        refusals = at_once(
            database,
            partial(members.remove, actor=roots[0], name=name, username="ada"),
            partial(members.remove, actor=roots[1], name=name, username="bob"),
        )
        assert sorted(map(str, refusals)) == sorted(map(str, [None, LastOwner])) and owners(database, name) == 1


def test_of_ten_who_create_one_name_at_once_one_does(database: Database) -> None:
    people = [actor(database, f"racer{number}") for number in range(10)]
    refusals = at_once(database, *(partial(workspaces.create, actor=who, name="team") for who in people))
    assert refusals.count(None) == 1 and refusals.count(WorkspaceExists) == 9
    assert owners(database, "team") == 1


def test_a_workspace_without_an_owner_can_get_members_and_lose_them(database: Database) -> None:
    """``default`` at first: only an administrator gets in."""
    root, ada = actor(database, "chief", is_admin=True), actor(database, "ada")
    database.transact(lambda session: members.set_role(session, root, "default", "ada", Role.VIEWER))
    assert database.transact(lambda session: members.remove(session, ada, "default", "ada")) is Role.VIEWER
    with pytest.raises(NotFound):
        database.transact(lambda session: members.page(session, ada, "default", limit=1, after=0))


def test_the_actors_role_is_the_one_in_the_workspace_that_is_named(database: Database) -> None:
    ada, bob = actor(database, "ada"), actor(database, "bob")
    create(database, ada, "team")
    with database.read() as session:
        assert workspaces.show(session, ada, "team").role is Role.OWNER
        assert workspaces.find_id(session, ada, "team") is not None and workspaces.find_id(session, bob, "team") is None
        assert workspaces.total(session, bob) == 0 and workspaces.page(session, bob, limit=10, after=0) == []
        with pytest.raises(NotFound):
            workspaces.settings(session, bob, "team")
