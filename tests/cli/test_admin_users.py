"""example-admin users."""

from __future__ import annotations

import getpass

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from example.audit.verify import verify
from example.cli import admin_users
from example.identity import accounts, invitations, passwords, sessions, tokens
from example.identity.accounts import Membership
from example.identity.keys import load_keys
from example.identity.roles import Role
from example.models import AuditEntry, User
from tests.cli.conftest import Admin
from tests.people import PASSWORD, add_user

ALICE = ("users", "create", "alice", "--email", "Alice@example.com")


def user(operator: Admin, name: str = "alice") -> User:
    found: User = operator.read(lambda session: accounts.find(session, name))
    return found


def add(operator: Admin, name: str = "alice", role: Role | None = Role.DEVELOPER) -> None:
    operator.database.transact(lambda session: add_user(session, name, role=role))


def roles(operator: Admin, name: str = "alice") -> list[Membership]:
    found: list[Membership] = operator.read(lambda session: accounts.memberships(session, accounts.find(session, name).id))
    return found


def test_an_account_is_made_with_a_password_from_standard_input(operator: Admin) -> None:
    said = operator.run(*ALICE, "--password-stdin", typed=f"{PASSWORD}\nmore\n").output
    made = user(operator)
    assert said == "made the account 'alice': developer of default\n"
    assert made.email == "alice@example.com" and not made.is_admin and passwords.matches(made.password_hash, PASSWORD)
    assert operator.audited() == [("create_user", "users/alice", "developer of default")]
    entry = operator.read(lambda session: session.scalars(select(AuditEntry)).one())
    assert (entry.username, entry.user_id, entry.workspace_id, entry.decision) == (getpass.getuser(), None, 1, "allowed")
    assert verify(operator.database, load_keys(operator.settings).audit).entries == 1


def test_an_administrator_of_the_instance_can_be_made(operator: Admin) -> None:
    said = operator.run(*ALICE, "--admin", "--role", "owner", "--password-stdin", typed=PASSWORD).output
    assert "owner of default, administrator of the instance" in said
    assert user(operator).is_admin and roles(operator) == [Membership("default", Role.OWNER)]


def test_a_random_password_is_printed_once(operator: Admin) -> None:
    password = operator.run(*ALICE, "--generate-password").stdout.split()[-1]
    assert len(password) == 24 and passwords.matches(user(operator).password_hash, password)
    assert password not in str(operator.audited())


def test_on_a_terminal_it_asks_twice_and_shows_nothing(operator: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_users, "_on_terminal", lambda: True)
    said = operator.run(*ALICE, typed=f"{PASSWORD}\n{PASSWORD}\n").output
    assert "Password:" in said and "Again:" in said and PASSWORD not in said
    assert passwords.matches(user(operator).password_hash, PASSWORD)


@pytest.mark.parametrize(("more", "typed", "words"), [
    ((), "", "there is no terminal to ask on; use --password-stdin or --generate-password"),
    (("--password-stdin", "--generate-password"), "", "name one"), (("--password-stdin",), "\n", "8 to 128 characters"),
    (("--password-stdin",), "alicealice\n", "too easy to guess"),
    (("--workspace", "nowhere", "--generate-password"), "", "no workspace 'nowhere'"),
])  # fmt: skip
def test_what_cannot_be_made_is_told_and_nobody_is_there(operator: Admin, more: tuple[str, ...], typed: str, words: str) -> None:
    assert words in " ".join(operator.refused(*ALICE, *more, typed=typed).replace("│", " ").split())
    assert operator.listed("users", "list") == [] and operator.audited() == []


def test_the_services_own_names_and_taken_ones_are_refused(operator: Admin) -> None:
    add(operator)
    assert "choose another" in operator.refused("users", "create", "admin", "--email", "a@b.c", "--generate-password")
    assert "users create: the user name 'alice' is taken" in operator.refused(*ALICE, "--generate-password")


def test_the_list_is_a_table_or_json(operator: Admin) -> None:
    add(operator)
    add(operator, "bertha", None)
    operator.run("users", "disable", "bertha")
    operator.run("users", "set-role", "alice", "--admin")
    table = operator.run("users", "list").stdout.splitlines()
    assert table[0].split() == ["id", "username", "email", "is_admin", "disabled_at", "created_at", "workspaces"]
    assert table[1].split()[1:4] == ["alice", "alice@example.com", "yes"] and table[1].split()[-1] == "default:developer"
    listed = operator.listed("users", "list")
    assert [(one["username"], one["disabled_at"] is None, one["has_password"]) for one in listed] == [
        ("alice", True, False), ("bertha", False, False),
    ]  # fmt: skip
    assert listed[0]["workspaces"] == [{"name": "default", "role": "developer"}]


def test_an_invitation_is_printed_alone(operator: Admin) -> None:
    result = operator.run("users", "invite", "--role", "maintainer", "--days", "2")
    code = result.stdout.strip()
    assert tokens.parse(code, tokens.INVITATION).text == code and "maintainer of default" in result.stderr
    keys = load_keys(operator.settings)
    joined = operator.database.transact(lambda session: invitations.accept(session, keys, code, add_user(session, "guest").id))
    assert joined.role is Role.MAINTAINER
    assert operator.audited() == [("create_invitation", "workspaces/default/invitations", "maintainer")]


def test_a_role_is_given_and_taken(operator: Admin) -> None:
    add(operator)
    operator.run("users", "set-role", "Alice", "maintainer")
    assert roles(operator) == [Membership("default", Role.MAINTAINER)]
    operator.run("users", "set-role", "alice", "viewer", "--admin")
    assert roles(operator) == [Membership("default", Role.VIEWER)] and user(operator).is_admin
    operator.run("users", "set-role", "alice", "--no-admin")
    assert not user(operator).is_admin
    assert [detail for _, _, detail in operator.audited()] == [
        "maintainer of default",
        "administrator, viewer of default",
        "no administrator",
    ]


def test_a_role_is_to_be_named(operator: Admin) -> None:
    assert "name a role" in operator.refused("users", "set-role", "alice")
    assert "no user 'alice'" in operator.refused("users", "set-role", "alice", "viewer")


def test_the_last_owner_stays_one(operator: Admin) -> None:
    add(operator, role=Role.OWNER)
    assert "without an owner" in operator.refused("users", "set-role", "alice", "viewer")
    assert operator.audited() == []


def test_a_new_password_ends_the_sessions(operator: Admin) -> None:
    add(operator)
    keys = load_keys(operator.settings)

    def begin(session: Session) -> str:
        return sessions.start(session, keys, accounts.find(session, "alice"), address=None, agent=None).refresh_token

    refresh_token = operator.database.transact(begin)
    said = operator.run("users", "set-password", "alice", "--generate-password").output
    assert passwords.matches(user(operator).password_hash, said.split()[-1])
    with pytest.raises(Exception, match="has ended"):
        operator.database.transact(lambda session: sessions.refresh(session, keys, refresh_token))
    assert operator.audited() == [("set_password", "users/alice", None)]


def test_disabling_and_enabling(operator: Admin) -> None:
    add(operator)
    assert "tokens cleanup" in operator.run("users", "disable", "alice").output
    first = user(operator).disabled_at
    operator.run("users", "disable", "alice")
    assert user(operator).disabled_at == first is not None
    operator.run("users", "enable", "alice")
    assert user(operator).disabled_at is None
    assert [action for action, _, _ in operator.audited()] == ["disable_user", "disable_user", "enable_user"]
    assert "no user 'bertha'" in operator.refused("users", "disable", "bertha")
