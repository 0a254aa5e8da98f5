"""The end of a workspace: nothing of it is live, runs or can be used, whatever happens meanwhile."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from example.environments.host import exclusive
from example.errors import NotFound
from example.identity.credentials import find_token
from example.identity.issuing import TokenRequest, issue
from example.lifecycle import closing, reconciling
from example.lifecycle.packages import create
from example.models import (
    AuditEntry,
    Environment,
    Generation,
    Invitation,
    Job,
    Member,
    Package,
    PackageCount,
    Switch,
    Token,
    Workspace,
    now,
)
from example.nix.runtime import NixRuntime
from tests.holders import holder, token_in
from tests.lifecycle.ready import activate, fetch_now, host_of, profile_of, ready
from tests.lifecycle.scripted import Held, core_of, script
from tests.nixstore import eventually
from tests.service import Service, expect, expect_problem


@pytest.fixture
def team(service: Service) -> Service:
    """The service, whose client works in a workspace ``team`` of its own."""
    return inside(service)


def inside(service: Service) -> Service:
    owner = holder(service, "owner")
    expect(service.post("/workspaces", {"name": "team"}, headers=owner.headers), 201)
    service.http.headers.update(token_in(service, owner, "team"))
    return service


def close(service: Service, **query: Any) -> None:
    answer = service.delete("/workspaces/team", params=query)
    assert answer.status_code == 204, answer.text


def rows(service: Service, table: Any) -> list[Any]:
    with core_of(service).database.read() as session:
        return list(session.scalars(select(table).where(table.workspace_id == team_id(service))))


def team_id(service: Service) -> int:
    with core_of(service).database.read() as session:
        return int(session.scalars(select(func.max(Workspace.id))).one())


def test_nothing_of_a_deleted_workspace_is_live_or_can_be_used(team: Service) -> None:
    package_id = ready(team)
    activate(team, package_id)
    profile, settings = profile_of(team), team.settings
    root = NixRuntime.of(settings).roots / str(package_id)
    assert (profile / "bin/tool").exists() and root.is_symlink()
    expect(team.post("/workspaces/team/invitations", {"role": "viewer"}), 201)
    close(team, force=True)
    assert not profile.is_symlink() and not profile.parent.exists() and not root.is_symlink()
    for table in (Package, PackageCount, Member, Invitation):
        assert rows(team, table) == [], table
    assert all(token.revoked_at is not None for token in rows(team, Token))
    assert [environment.generation for environment in rows(team, Environment)] == [None]
    with core_of(team).database.read() as session:
        assert session.scalar(select(func.count()).select_from(Generation)) == 0
        assert session.scalar(select(func.count()).select_from(Switch)) == 0
        closed = session.get_one(Workspace, team_id(team))
    assert closed.name == f"~{closed.id}" and closed.deleted_at is not None
    expect_problem(team.get("/packages"), 401, "token_revoked")


def test_the_audit_tells_what_went(team: Service) -> None:
    activate(team, ready(team))
    team.create("hello", "1.0")
    holder(team, "somebody", "viewer", "team")
    close(team, force=True)
    with core_of(team).database.read() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "delete_workspace")).one()
    assert (entry.workspace_id, entry.resource, entry.status) == (team_id(team), "workspaces/team", 204)
    gone = {"packages": 2, "environments": 1, "jobs": 0, "tokens": 2, "members": 2}
    assert json.loads(entry.detail or "") == {"force": True, "gone": gone}


def test_other_workspaces_keep_everything(service: Service) -> None:
    kept = ready(service)
    activate(service, kept)
    profile, others = profile_of(service), dict(service.http.headers)
    inside(service)
    activate(service, ready(service))
    close(service, force=True)
    service.http.headers.update(others)
    assert (profile / "bin/tool").exists() and service.package(kept)["status"] == "activated"
    assert service.get("/packages").headers["x-total-count"] == "1"


def test_something_live_keeps_a_workspace_until_force_is_asked_for(team: Service) -> None:
    package_id = ready(team)
    activate(team, package_id)
    problem = expect_problem(team.delete("/workspaces/team"), 409, "workspace_not_empty")
    assert (problem["packages"], problem["environments"]) == (1, 1)
    expect(team.post(f"/package/{package_id}/deactivate"), 200)
    assert team.delete(f"/package/{package_id}").status_code == 204
    profile = profile_of(team)
    close(team)
    assert not profile.parent.exists()


def test_a_job_under_way_is_cancelled(working: Service) -> None:
    held = Held()
    source = script(inside(working), held)
    package_id = working.create()
    task_id = expect(working.post(f"/package/{package_id}/download"), 202)["task_id"]
    assert held.begun.wait(10)
    close(working, force=True)
    assert held.cancelled.wait(10)
    job = rows(working, Job)[0]
    assert (job.task_id, job.state, job.package_id) == (task_id, "cancelled", None) and "deleted the workspace" in job.error
    assert source.forgotten == [package_id]


def test_a_package_that_was_never_fetched_has_nothing_to_forget(team: Service) -> None:
    source = script(team)
    team.create()
    close(team, force=True)
    assert source.forgotten == []


def test_a_change_that_waits_for_the_environment_finds_nothing_in_it(team: Service) -> None:
    old, new = ready(team, "tool", "1.2"), ready(team, "tool", "3.0")
    activate(team, old)
    profile, answers = profile_of(team), []
    environment_id = int(profile.parent.name)
    asked = [
        lambda: team.delete("/workspaces/team", params={"force": True}),
        lambda: team.post(f"/package/{new}/activate"),
        lambda: team.post("/environments/nix/default/switch", {"generation": 1}),
    ]
    threads = [threading.Thread(target=lambda call=call: answers.append(call())) for call in asked]
    with exclusive(host_of(team), environment_id):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(0.3)
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {200, 204, 404, 401}, [answer.text for answer in answers]
    assert not profile.parent.exists() or not profile.is_symlink()
    reconciling.sweep(core_of(team).database, host_of(team))
    assert not profile.parent.exists()


def test_an_environment_that_comes_into_being_meanwhile_is_taken_down_too(team: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    activate(team, ready(team))
    profile, look, calls = profile_of(team), closing._environments, []

    def late(*arguments: Any) -> list[int]:
        calls.append(arguments)
        return look(*arguments) if len(calls) > 1 else []

    monkeypatch.setattr(closing, "_environments", late)
    close(team, force=True)
    assert len(calls) == 4 and not profile.parent.exists()


def test_neither_package_nor_token_is_created_in_a_workspace_that_is_just_being_deleted(team: Service) -> None:
    """The credential was verified before, the new row waits for the workspace's, and then it is too late."""
    core = core_of(team)
    with core.database.read() as session:
        public_id = session.scalars(select(Token.public_id).order_by(Token.id.desc())).first()
        record = find_token(session, str(public_id))
    assert record is not None
    close(team)
    with pytest.raises(NotFound):
        core.database.transact(lambda s: create(s, record.actor, core.sources, source="nix", name="hello", version="1.0"))
    with pytest.raises(NotFound):
        core.database.transact(lambda s: issue(s, record.actor, core.keys.tokens[0], TokenRequest()))
    assert rows(team, Package) == [] and all(token.revoked_at is not None for token in rows(team, Token))


def fail(error: Exception) -> Callable[..., None]:
    def failing(*_: object) -> None:
        raise error

    return failing


def test_what_cannot_be_cleared_away_does_not_keep_the_workspace(team: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched, asked = ready(team), team.create("hello", "1.0")
    activate(team, fetched)
    profile = profile_of(team)
    expect(team.post(f"/package/{asked}/download"), 202)
    core = core_of(team)
    monkeypatch.setattr(closing, "take_down", fail(OSError("busy")))
    monkeypatch.setattr(core.queue, "cancel", fail(OperationalError("x", None, Exception("locked"))))
    monkeypatch.setattr(core.sources["nix"], "forget", fail(OSError("busy")))
    close(team, force=True)
    assert profile.is_symlink()
    monkeypatch.undo()
    reconciling.reconcile_all(core.database, host_of(team))
    assert not profile.parent.exists()


def test_a_folder_that_somebody_works_in_is_swept_the_next_time(team: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    activate(team, ready(team))
    profile, core, host = profile_of(team), core_of(team), host_of(team)
    monkeypatch.setattr(closing, "take_down", fail(OSError("busy")))
    close(team, force=True)
    with exclusive(host, int(profile.parent.name)):
        reconciling.sweep(core.database, host)
        assert profile.is_symlink()
    core._purge(now())
    assert not profile.parent.exists()


def test_whoever_creates_packages_while_a_workspace_is_deleted_leaves_none_behind(team: Service) -> None:
    stop, statuses = threading.Event(), set()

    def keep_creating() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            statuses.add(team.post("/packages", {"name": "hello", "version": f"{threading.get_ident()}.{number}"}).status_code)

    threads = [threading.Thread(target=keep_creating) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert eventually(lambda: bool(rows(team, Package)))
    close(team, force=True)
    assert eventually(lambda: 401 in statuses)
    stop.set()
    for thread in threads:
        thread.join()
    assert statuses <= {201, 401, 404} and rows(team, Package) == [] and sum(count.packages for count in rows(team, PackageCount)) == 0


def test_the_path_of_a_profile_is_never_used_again(team: Service) -> None:
    activate(team, ready(team))
    before: Path = profile_of(team)
    close(team, force=True)
    owner = holder(team, "another")
    expect(team.post("/workspaces", {"name": "team"}, headers=owner.headers), 201)
    team.http.headers.update(token_in(team, owner, "team"))
    fetched = team.create("tool", "1.2")
    fetch_now(team, fetched)
    activate(team, fetched)
    assert profile_of(team) != before
