"""Rights are read live: what somebody loses on one process, they have lost on every process, from the very next request on."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from example.identity import accounts
from tests.authorisation.conftest import Pair, Person
from tests.authorisation.oracle import PASSWORD
from tests.service import API, expect, expect_problem

pytestmark = pytest.mark.slow
ROUNDS = 3
"""How often each process answers before the change, so that whatever it keeps is kept."""


def works(pair: Pair, headers: dict[str, str], method: str = "GET", path: str = "/packages", status: int = 200) -> None:
    """Every process lets this through, again and again."""
    for _ in range(ROUNDS):
        assert {answer.status_code for answer in pair.ask(method, path, headers)} == {status}


def refused(answers: list[httpx.Response], status: int, code: str) -> None:
    """Every process refused this."""
    for answer in answers:
        expect_problem(answer, status, code)


class Team:
    """A workspace with an owner and somebody in a role, who has a session and a token there."""

    def __init__(self, pair: Pair, role: str) -> None:
        self.pair, self.owner, self.member = pair, pair.person(), pair.person()
        self.name = pair.workspace(self.owner)
        pair.join(self.owner, self.name, self.member, role)
        issued = pair.token(self.member, self.name)
        self.token_id: int = issued["id"]
        self.by_token = self.member.headers(token=issued["token"])
        self.by_session = self.member.headers(self.name)
        package = {"name": "hello", "version": "2.1.0"}
        self.package_id = expect(pair.one.post("/packages", package, headers=self.owner.headers(self.name)), 201)["id"]

    def as_owner(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """A request of the owner's to the first process."""
        return self.pair.one.http.request(method, API + path, json=body, headers=self.owner.headers(self.name))


def test_a_revoked_token_is_refused_by_every_process(pair: Pair) -> None:
    team = Team(pair, "developer")
    works(pair, team.by_token)
    expect(pair.one.delete(f"/tokens/{team.token_id}", headers=team.by_session), 200)
    refused(pair.ask("GET", "/packages", team.by_token), 401, "token_revoked")
    works(pair, team.by_session)


def test_a_regenerated_token_is_refused_by_every_process_and_its_successor_works(pair: Pair) -> None:
    team = Team(pair, "developer")
    works(pair, team.by_token)
    fresh = expect(pair.one.post(f"/tokens/{team.token_id}/regenerate", headers=team.by_token), 200)
    refused(pair.ask("GET", "/packages", team.by_token), 401, "token_revoked")
    works(pair, team.member.headers(token=fresh["token"]))


def test_all_other_tokens_are_refused_by_every_process_once_they_are_revoked(pair: Pair) -> None:
    team = Team(pair, "developer")
    others = [team.member.headers(token=pair.token(team.member, team.name)["token"]) for _ in range(3)]
    for headers in others:
        works(pair, headers)
    expect(pair.one.delete("/tokens/all", headers=team.by_token), 200)
    for headers in others:
        refused(pair.ask("GET", "/packages", headers), 401, "token_revoked")
    works(pair, team.by_token)


@pytest.mark.parametrize("credential", ["by_token", "by_session"])
def test_who_is_demoted_loses_the_right_on_every_process(pair: Pair, credential: str) -> None:
    team = Team(pair, "maintainer")
    headers = getattr(team, credential)
    works(pair, headers, "GET", "/audit")
    pair.join(team.owner, team.name, team.member, "viewer")
    refused(pair.ask("GET", "/audit", headers), 403, "insufficient_role")
    refused(pair.ask("DELETE", f"/package/{team.package_id}", headers), 403, "insufficient_role")
    refused(pair.ask("PUT", f"/workspaces/{team.name}/settings", headers, {"description": "x"}), 403, "insufficient_role")
    works(pair, headers)
    pair.join(team.owner, team.name, team.member, "maintainer")
    works(pair, headers, "GET", "/audit")


@pytest.mark.parametrize("credential", ["by_token", "by_session"])
def test_who_is_removed_from_a_workspace_finds_nothing_there_on_any_process(pair: Pair, credential: str) -> None:
    team = Team(pair, "developer")
    headers = getattr(team, credential)
    works(pair, headers)
    assert team.as_owner("DELETE", f"/workspaces/{team.name}/members/{team.member.name}").status_code == 204
    for path in ("/packages", f"/package/{team.package_id}", "/jobs", "/tokens", f"/workspaces/{team.name}"):
        refused(pair.ask("GET", path, headers), 404, "not_found")
    for answer in pair.ask("GET", "/workspaces", team.member.headers()):
        assert team.name not in answer.text


@pytest.mark.parametrize("credential", ["by_token", "by_session"])
def test_who_leaves_a_workspace_finds_nothing_there_on_any_process(pair: Pair, credential: str) -> None:
    team = Team(pair, "maintainer")
    headers = getattr(team, credential)
    works(pair, headers)
    assert pair.one.delete(f"/workspaces/{team.name}/members/{team.member.name}", headers=headers).status_code == 204
    refused(pair.ask("GET", "/packages", headers), 404, "not_found")


def test_a_session_that_logged_out_is_refused_by_every_process_and_another_of_the_same_user_goes_on(pair: Pair) -> None:
    person = pair.person()
    other = pair.log_in(person.name)
    works(pair, person.headers(), path="/users/me")
    expect(pair.one.post("/auth/logout", headers=person.headers()), 200)
    refused(pair.ask("GET", "/users/me", person.headers()), 401, "token_revoked")
    refused(pair.ask("POST", "/auth/refresh", pair.one.anonymous(), {"refresh_token": person.refresh_token}), 401, "token_revoked")
    works(pair, other.headers(), path="/users/me")


def test_a_new_password_ends_the_other_sessions_on_every_process_and_tokens_stay(pair: Pair) -> None:
    person = pair.person()
    other = pair.log_in(person.name)
    token = person.headers(token=pair.token(person, "default")["token"])
    works(pair, other.headers(), path="/users/me")
    change = {"current_password": PASSWORD, "new_password": "nine brisk herons at noon"}
    expect(pair.one.http.put(f"{API}/users/me", json=change, headers=person.headers()), 200)
    refused(pair.ask("GET", "/users/me", other.headers()), 401, "token_revoked")
    refused(pair.ask("POST", "/auth/refresh", pair.one.anonymous(), {"refresh_token": other.refresh_token}), 401, "token_revoked")
    refused(pair.ask("POST", "/auth/login", pair.one.anonymous(), {"username": person.name, "password": PASSWORD}), 401, "login_failed")
    works(pair, person.headers(), path="/users/me")
    works(pair, token)


def test_a_disabled_user_is_refused_by_every_process_with_everything_they_have(pair: Pair) -> None:
    team = Team(pair, "owner")
    works(pair, team.by_token)
    works(pair, team.by_session)
    pair.database.transact(lambda session: accounts.disable(session, accounts.find(session, team.member.name)))
    for headers in (team.by_token, team.by_session):
        refused(pair.ask("GET", "/packages", headers), 401, "token_revoked")
    refused(pair.ask("POST", "/auth/refresh", pair.one.anonymous(), {"refresh_token": team.member.refresh_token}), 401, "token_revoked")
    for answer in pair.ask("POST", "/auth/login", pair.one.anonymous(), {"username": team.member.name, "password": PASSWORD}):
        assert answer.status_code in (401, 403), answer.text


def test_a_deleted_workspace_is_gone_on_every_process_and_its_tokens_are_revoked(pair: Pair) -> None:
    team = Team(pair, "developer")
    works(pair, team.by_token)
    works(pair, team.by_session)
    assert team.as_owner("DELETE", f"/workspaces/{team.name}?force=true").status_code == 204
    refused(pair.ask("GET", "/packages", team.by_token), 401, "token_revoked")
    for person in (team.member, team.owner):
        refused(pair.ask("GET", "/packages", person.headers(team.name)), 404, "not_found")
        refused(pair.ask("GET", f"/workspaces/{team.name}", person.headers()), 404, "not_found")


def test_a_deleted_workspaces_name_gives_its_next_owner_nothing_of_the_old_one_and_its_old_members_nothing_of_the_new(pair: Pair) -> None:
    team = Team(pair, "developer")
    works(pair, team.by_session)
    assert team.as_owner("DELETE", f"/workspaces/{team.name}?force=true").status_code == 204
    successor: Person = pair.person()
    expect(pair.two.post("/workspaces", {"name": team.name}, headers=successor.headers()), 201)
    for answer in pair.ask("GET", "/packages", successor.headers(team.name)):
        assert expect(answer, 200) == []
    refused(pair.ask("GET", "/packages", team.by_session), 404, "not_found")
    refused(pair.ask("GET", "/packages", team.by_token), 401, "token_revoked")
