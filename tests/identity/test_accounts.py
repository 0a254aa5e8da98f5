"""Accounts: names and addresses, who may make one, and the verbs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from example.db import Database
from example.errors import AccountExists, Forbidden, Invalid, LoginFailed, NotFound
from example.identity import accounts, registering, sessions
from example.identity.accounts import Membership, NewAccount
from example.identity.keys import Keys
from example.identity.roles import Role
from example.models import LoginSession, User
from tests.people import add_user


@pytest.mark.parametrize(("given", "kept"), [("alice", "alice"), ("Alice.B-c_9", "alice.b-c_9"), ("a1b", "a1b"), ("x" * 32, "x" * 32)])
def test_a_user_name_is_kept_in_lower_case(given: str, kept: str) -> None:
    assert accounts.checked_name(given) == kept


@pytest.mark.parametrize("given", ["", "ab", "x" * 33, ".abc", "abc-", "a b c", "älice", "a@b", "abc\n", "\u212aelvin", "a/b"])
def test_what_no_user_name_can_be_is_named(given: str) -> None:
    with pytest.raises(Invalid, match="3 to 32 letters and digits"):
        accounts.checked_name(given)


@pytest.mark.parametrize("given", ["Admin", "local", "ROOT", "default", "anonymous", "administrator", "system"])
def test_the_services_own_names_are_nobodys(given: str) -> None:
    with pytest.raises(AccountExists, match="choose another"):
        accounts.checked_name(given)


@pytest.mark.parametrize(
    ("given", "kept"), [("A@Example.COM", "a@example.com"), ("a.b+c@host", "a.b+c@host"), ("o'x@a-b.c9", "o'x@a-b.c9")]
)
def test_an_address_is_kept_in_lower_case(given: str, kept: str) -> None:
    assert accounts.checked_address(given) == kept


@pytest.mark.parametrize(
    "given", ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@-b", "a@b..c", "a@b.", "a@b\n", "ä@b.c", "x" * 65 + "@b.c", "a@" + "b." * 127 + "c"]
)
def test_what_is_no_address_is_named(given: str) -> None:
    with pytest.raises(Invalid, match="is not an e-mail address"):
        accounts.checked_address(given)


@pytest.mark.parametrize(("rule", "invited", "may"), [
    ("open", False, True), ("open", True, True), ("invite", False, False), ("invite", True, True), ("closed", False, False),
    ("closed", True, True),
])  # fmt: skip
def test_who_may_make_their_own_account(rule: accounts.Registration, invited: bool, may: bool) -> None:
    if may:
        accounts.require_open(rule, invited=invited)
        return
    with pytest.raises(Forbidden, match="example-admin users create"):
        accounts.require_open(rule, invited=invited)


@pytest.mark.parametrize(("name", "email", "field"), [
    ("alice", "other@example.com", "username"), ("bertha", "alice@example.com", "email"), ("ALICE", "Alice@example.com", "username"),
])  # fmt: skip
def test_a_taken_name_or_address_is_named(database: Database, name: str, email: str, field: str) -> None:
    database.transact(lambda session: add_user(session, "alice"))
    with pytest.raises(AccountExists, match="choose another|log in") as refused:
        database.transact(lambda session: accounts.create(session, NewAccount(name, email, None)))
    assert refused.value.extra == {"field": field}


def test_of_ten_who_want_one_name_at_once_one_gets_it(database: Database, keys: Keys) -> None:
    def register(number: int) -> bool:
        account = NewAccount("alice", f"a{number}@example.com", None)
        try:
            database.transact(lambda session: registering.register(session, keys, account, rule="open"))
        except AccountExists:
            return False
        return True

    with ThreadPoolExecutor(10) as threads:
        assert sum(threads.map(register, range(10))) == 1


def test_where_registration_is_open_everybody_is_a_developer_of_default(database: Database, keys: Keys) -> None:
    with database.begin() as session:
        made = registering.register(session, keys, NewAccount("Alice", "a@example.com", "hash"), rule="open")
        view = accounts.own_view(session, made.id)
    assert (view.username, view.email, view.is_admin, view.workspaces) == (
        "alice", "a@example.com", False, [Membership("default", Role.DEVELOPER)],
    )  # fmt: skip


def test_joining_again_never_lowers_a_role(database: Database) -> None:
    with database.begin() as session:
        user = add_user(session, "alice", role=Role.MAINTAINER)
        assert accounts.join(session, user.id, 1, Role.VIEWER) is Role.MAINTAINER
        assert accounts.join(session, user.id, 1, Role.OWNER) is Role.OWNER


@pytest.mark.parametrize("wanted", ["alice", "ALICE", "alice@example.com", "Alice@Example.com"])
def test_credentials_are_found_by_name_or_address(database: Database, wanted: str) -> None:
    database.transact(lambda session: add_user(session, "alice"))
    with database.read() as session:
        found = accounts.find_credentials(session, wanted)
        assert found is not None and found.username == "alice" and found.password_hash is None
        assert accounts.find_credentials(session, "alicia") is None


def test_a_log_in_whose_password_was_changed_meanwhile_fails(database: Database) -> None:
    user = database.transact(lambda session: add_user(session, "alice", password=True))
    database.transact(lambda session: accounts.set_password(session, accounts.find(session, "alice"), "new"))
    with pytest.raises(LoginFailed):
        database.transact(lambda session: accounts.lock_verified(session, user.id, user.password_hash))


def test_a_disabled_account_is_told_so_only_behind_the_right_password(database: Database) -> None:
    user = database.transact(lambda session: add_user(session, "alice"))
    database.transact(lambda session: accounts.disable(session, accounts.find(session, "alice")))
    with pytest.raises(Forbidden, match="is disabled"):
        database.transact(lambda session: accounts.lock_verified(session, user.id, None))
    database.transact(lambda session: accounts.enable(accounts.find(session, "alice")))
    assert database.transact(lambda session: accounts.lock_verified(session, user.id, None)).id == user.id


def test_an_address_that_somebody_else_has_stays_theirs(database: Database) -> None:
    database.transact(lambda session: [add_user(session, name) for name in ("alice", "bertha")])
    with pytest.raises(AccountExists) as refused:
        database.transact(lambda session: accounts.set_email(session, accounts.find(session, "alice"), "Bertha@example.com"))
    assert refused.value.extra == {"field": "email"}
    database.transact(lambda session: accounts.set_email(session, accounts.find(session, "alice"), "New@example.com"))
    with database.read() as session:
        assert accounts.find(session, "ALICE").email == "new@example.com"


def live(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(LoginSession).where(LoginSession.ended_at.is_(None))) or 0


def test_a_new_password_ends_the_other_sessions_and_disabling_ends_all(database: Database, keys: Keys) -> None:
    with database.begin() as session:
        alice, other = add_user(session, "alice"), add_user(session, "bertha")
        for user in (alice, alice, alice, other):
            sessions.start(session, keys, user, address=None, agent=None)
        kept = session.scalars(select(LoginSession.id).where(LoginSession.user_id == alice.id).limit(1)).one()
        accounts.set_password(session, alice, "new", keep_session=kept)
        assert live(session) == 2
        accounts.disable(session, alice)
        assert live(session) == 1


def test_there_is_nobody_of_a_name_that_nobody_has(database: Database) -> None:
    with database.read() as session, pytest.raises(NotFound, match="no user 'alice'"):
        accounts.find(session, "alice")


def test_a_password_hash_is_nothing_that_others_see(database: Database) -> None:
    with database.begin() as session:
        user: User = add_user(session, "alice", password=True)
        assert "argon2" not in f"{accounts.view(user)}{accounts.own_view(session, user.id)}"
