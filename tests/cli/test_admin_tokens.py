"""example-admin tokens."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from example.identity import accounts, tokens
from example.identity.credentials import find_token
from example.identity.keys import load_keys
from example.identity.roles import Role
from example.models import Token, Workspace, now
from tests.cli.conftest import Admin
from tests.people import add_user


@pytest.fixture
def alice(operator: Admin) -> str:
    """A developer of default."""
    operator.database.transact(lambda session: add_user(session, "alice", role=Role.DEVELOPER))
    return "alice"


def create(operator: Admin, *options: str) -> str:
    return operator.run("tokens", "create", "alice", *options).stdout.strip()


def test_a_token_is_printed_alone_and_works(operator: Admin, alice: str) -> None:
    result = operator.run("tokens", "create", alice, "--name", "ci", "--scope", "packages:publish", "--scope", "jobs:read", "--days", "7",
                          "--resource", "team-*", "--allowed-ip", "10.0.0.0/8")  # fmt: skip
    secret = tokens.parse(result.stdout.strip())
    record = operator.read(lambda session: find_token(session, secret.public_id))
    assert tokens.is_digest(record.digest, load_keys(operator.settings).tokens, secret)
    assert (record.actor.username, record.actor.token_scopes) == (alice, ("packages:publish", "jobs:read"))
    assert (record.actor.resources, record.actor.allowed_ips) == (("team-*",), ("10.0.0.0/8",))
    assert timedelta(days=6) < record.expires_at - now() <= timedelta(days=7)
    assert operator.audited() == [("create_token", "tokens/1", "for alice")] and secret.text not in result.stderr


def test_unless_named_it_has_every_scope(operator: Admin, alice: str) -> None:
    create(operator)
    assert "system:admin" in operator.listed("tokens", "list")[0]["scopes"], "its owner's role limits it on each request"


@pytest.mark.parametrize(("arguments", "words"), [
    (("bertha",), "no user 'bertha'"), (("alice", "--workspace", "nowhere"), "no workspace"),
    (("alice", "--workspace", "team"), "no member"), (("alice", "--allowed-ip", "here"), "is not an address or network"),
    (("alice", "--days", "367"), "equal to 366"), (("alice", "--scope", "packages:fly"), "packages:fly"),
])  # fmt: skip
def test_what_cannot_be_made_is_told(operator: Admin, alice: str, arguments: tuple[str, ...], words: str) -> None:
    operator.database.transact(lambda session: session.add(Workspace(name="team")))
    assert words in operator.refused("tokens", "create", *arguments)
    assert operator.listed("tokens", "list", "--all") == []


def test_an_administrators_token_works_everywhere(operator: Admin, alice: str) -> None:
    operator.database.transact(lambda session: session.add(Workspace(name="team")))
    operator.run("users", "set-role", alice, "--admin")
    assert create(operator, "--workspace", "team").startswith("pm_pat_")


def test_the_list_has_those_that_work_or_all(operator: Admin, alice: str) -> None:
    for name in ("works", "revoked", "expired"):
        create(operator, "--name", name)
    operator.run("tokens", "revoke", "2")
    operator.database.transact(lambda session: session.execute(update(Token).where(Token.id == 3).values(expires_at=now())))
    assert [(one["name"], one["state"]) for one in operator.listed("tokens", "list")] == [("works", "active")]
    assert [one["state"] for one in operator.listed("tokens", "list", "--all")] == ["active", "revoked", "expired"]
    assert len(operator.listed("tokens", "list", "--all", "--user", "Alice", "--workspace", "default")) == 3
    assert operator.listed("tokens", "list", "--user", "bertha") == operator.listed("tokens", "list", "--workspace", "team") == []
    table = operator.run("tokens", "list").stdout.splitlines()
    assert table[0].split()[:4] == ["id", "prefix", "name", "owner"] and table[1].split()[2:4] == ["works", "alice"]


def test_one_token_is_shown_without_its_secret(operator: Admin, alice: str) -> None:
    secret = create(operator, "--name", "ci")
    shown = operator.run("tokens", "info", "1").stdout
    assert "name           ci\n" in shown and "last used at   -\n" in shown and secret not in shown
    assert operator.listed("tokens", "info", "1")["prefix"] == secret[:15]
    assert "there is no token 7" in operator.refused("tokens", "info", "7")


def test_a_token_is_revoked_once(operator: Admin, alice: str) -> None:
    create(operator)
    assert "revoked token 1 (pm_pat_" in operator.run("tokens", "revoke", "1").stdout
    first = operator.listed("tokens", "info", "1")["revoked_at"]
    operator.run("tokens", "revoke", "1")
    assert operator.listed("tokens", "info", "1")["revoked_at"] == first is not None
    assert "there is no token 7" in operator.refused("tokens", "revoke", "7")
    assert [action for action, _, _ in operator.audited()] == ["create_token", "revoke_token", "revoke_token"]


def test_a_clean_up_ends_for_good_what_could_come_to_life_again_and_deletes_nothing(operator: Admin, alice: str) -> None:
    def others(session: Session) -> None:
        team = Workspace(name="team")
        session.add(team)
        session.flush()
        accounts.join(session, accounts.find(session, "alice").id, team.id, Role.OWNER)
        add_user(session, "bertha", role=Role.DEVELOPER)

    operator.database.transact(others)
    create(operator, "--name", "stays")
    create(operator, "--name", "expired")
    create(operator, "--name", "closed", "--workspace", "team")
    operator.run("tokens", "create", "bertha", "--name", "disabled")

    def end(session: Session) -> None:
        session.execute(update(Token).where(Token.name == "expired").values(expires_at=now()))
        session.execute(update(Workspace).where(Workspace.name == "team").values(deleted_at=now()))

    operator.database.transact(end)
    operator.run("users", "disable", "bertha")
    said = operator.run("tokens", "cleanup").stdout
    assert "revoked 2 tokens of disabled users and deleted workspaces; 1 have expired by themselves" in said
    states = {one["name"]: one["state"] for one in operator.listed("tokens", "list", "--all")}
    assert states == {"stays": "active", "expired": "expired", "closed": "revoked", "disabled": "revoked"}
    assert operator.audited()[-1] == ("clean_up_tokens", "tokens", "revoked 3, 4")
    assert "revoked 0 tokens" in operator.run("tokens", "cleanup").stdout
