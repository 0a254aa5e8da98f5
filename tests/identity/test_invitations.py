"""Invitations: given by maintainers, used once, and worth what their maker may give."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from example.cli.operating import as_actor
from example.db import Database
from example.errors import InsufficientRole, NotFound
from example.identity import accounts, inventory, invitations, registering, tokens
from example.identity.accounts import Membership, NewAccount
from example.identity.keys import Keys, derive_keys
from example.identity.roles import Role
from example.models import Invitation, Member, User, Workspace, now
from tests.people import add_user


def team(session: Session, role: Role = Role.OWNER) -> User:
    """A workspace ``team`` with one member."""
    session.add(Workspace(name="team"))
    session.flush()
    return add_user(session, "maker", role=role, workspace="team")


def invite(session: Session, keys: Keys, maker: User, role: Role) -> str:
    actor = replace(as_actor(), user_id=maker.id, is_admin=False, role=None)
    return invitations.create(session, actor, keys, "team", role=role).secret.text


@pytest.fixture
def code(database: Database, keys: Keys) -> str:
    """An invitation to ``team`` as a developer, by a maintainer."""
    return database.transact(lambda session: invite(session, keys, team(session, Role.MAINTAINER), Role.DEVELOPER))


def accept(database: Database, keys: Keys, code: str, name: str = "guest") -> Role:
    """Accepted by somebody new."""
    return database.transact(lambda session: invitations.accept(session, keys, code, add_user(session, name).id)).role


def test_it_makes_who_accepts_it_a_member(database: Database, keys: Keys, code: str) -> None:
    assert tokens.parse(code, tokens.INVITATION).text == code
    assert accept(database, keys, code) is Role.DEVELOPER
    with database.read() as session:
        assert accounts.memberships(session, accounts.find(session, "guest").id) == [Membership("team", Role.DEVELOPER)]


def test_it_works_once(database: Database, keys: Keys, code: str) -> None:
    accept(database, keys, code)
    with pytest.raises(NotFound, match="was used"):
        accept(database, keys, code, "second")


def test_of_ten_who_accept_it_at_once_one_is_let_in(database: Database, keys: Keys, code: str) -> None:
    def one(number: int) -> bool:
        try:
            accept(database, keys, code, f"guest{number}")
        except NotFound:
            return False
        return True

    with ThreadPoolExecutor(10) as threads:
        assert sum(threads.map(one, range(10))) == 1


@pytest.mark.parametrize(
    "text",
    ["", "hello", "pm_inv_" + "0" * 50, tokens.mint().text, tokens.mint(tokens.INVITATION).text],
    ids=["nothing", "a word", "a wrong checksum", "a token", "never issued"],
)
def test_what_is_none_is_not_found(database: Database, keys: Keys, text: str) -> None:
    with pytest.raises(NotFound, match="no such invitation"):
        accept(database, keys, text)


def test_an_expired_one_is_not_found(database: Database, keys: Keys, code: str) -> None:
    database.transact(lambda session: session.execute(update(Invitation).values(expires_at=now())))
    with pytest.raises(NotFound):
        accept(database, keys, code)


def test_one_into_a_deleted_workspace_is_not_found(database: Database, keys: Keys, code: str) -> None:
    database.transact(lambda session: session.execute(update(Workspace).where(Workspace.name == "team").values(deleted_at=now())))
    with pytest.raises(NotFound):
        accept(database, keys, code)


@pytest.mark.parametrize("change", [
    delete(Member), update(Member).values(role="developer"), update(User).where(User.username == "maker").values(disabled_at=now()),
], ids=["left", "demoted", "disabled"])  # fmt: skip
def test_its_maker_must_still_be_allowed_to_give_it(database: Database, keys: Keys, code: str, change: object) -> None:
    database.transact(lambda session: session.execute(change))  # type: ignore[call-overload]
    with pytest.raises(NotFound, match="taken back"):
        accept(database, keys, code)


def test_an_administrator_needs_no_membership_to_give_one(database: Database, keys: Keys, code: str) -> None:
    def promote(session: Session) -> None:
        session.execute(delete(Member))
        session.execute(update(User).where(User.username == "maker").values(is_admin=True))

    database.transact(promote)
    assert accept(database, keys, code) is Role.DEVELOPER


def test_it_never_lowers_a_role(database: Database, keys: Keys) -> None:
    def invite_oneself(session: Session) -> Role:
        maker = team(session)
        return invitations.accept(session, keys, invite(session, keys, maker, Role.VIEWER), maker.id).role

    assert database.transact(invite_oneself) is Role.OWNER


@pytest.mark.parametrize(("own", "given"), [(Role.VIEWER, Role.VIEWER), (Role.DEVELOPER, Role.VIEWER), (Role.MAINTAINER, Role.OWNER)])
def test_less_than_maintainers_give_none_and_nobody_more_than_they_have(database: Database, keys: Keys, own: Role, given: Role) -> None:
    with pytest.raises(InsufficientRole):
        database.transact(lambda session: invite(session, keys, team(session, own), given))


def test_who_is_no_member_finds_no_workspace_to_invite_into(database: Database, keys: Keys) -> None:
    def from_outside(session: Session) -> None:
        team(session)
        invite(session, keys, add_user(session, "outsider"), Role.VIEWER)

    with pytest.raises(NotFound, match="no workspace 'team'"):
        database.transact(from_outside)


def test_it_outlives_a_change_of_the_key(database: Database, code: str) -> None:
    assert accept(database, derive_keys("n" * 40, "k" * 40), code) is Role.DEVELOPER


@pytest.mark.parametrize("rule", ["open", "invite", "closed"])
def test_it_lets_somebody_register_under_every_rule(database: Database, keys: Keys, code: str, rule: accounts.Registration) -> None:
    account = NewAccount("guest", "guest@example.com", None)
    with database.begin() as session:
        made = registering.register(session, keys, account, rule=rule, invitation=code)
        everybodys = [Membership("default", Role.DEVELOPER)] if rule == "open" else []
        assert accounts.memberships(session, made.id) == [*everybodys, Membership("team", Role.DEVELOPER)]


def test_a_registration_that_fails_leaves_the_invitation_unused(database: Database, keys: Keys, code: str) -> None:
    with pytest.raises(Exception, match="is taken"):
        database.transact(
            lambda session: registering.register(session, keys, NewAccount("maker", "x@y.z", None), rule="closed", invitation=code)
        )
    assert accept(database, keys, code) is Role.DEVELOPER


def test_the_operators_own_is_limited_by_nobodys_role(database: Database, keys: Keys) -> None:
    def verb(session: Session) -> str:
        return invitations.issue(session, keys, inventory.find_workspace(session, "default"), role=Role.OWNER, created_by=None).secret.text

    assert accept(database, keys, database.transact(verb)) is Role.OWNER
