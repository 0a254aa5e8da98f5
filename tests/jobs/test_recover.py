"""A dead executor's jobs go on elsewhere, once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from sqlalchemy import make_url, text

from example.core import Core
from example.jobs import keeper as keepers
from example.jobs import recover
from example.jobs.leases import leases_of
from example.jobs.queue import dbos_url
from tests.lifecycle.scripted import core_of, gives, script
from tests.nixstore import eventually
from tests.service import ROOT, Service, expect


def claimed_by(service: Service, executor_id: str, version: str = "2.1.0") -> str:
    """A job that this executor is said to be running."""
    core = core_of(service)
    package_id = service.create("hello", version)
    task_id = str(expect(service.post(f"/package/{package_id}/download"), 202)["task_id"])
    table = "workflow_status" if core.database.is_sqlite else "dbos.workflow_status"
    core.database.transact(
        lambda session: session.execute(
            text(f"UPDATE {table} SET status = 'PENDING', executor_id = :executor WHERE workflow_uuid = :id"),
            {"executor": executor_id, "id": task_id},
        )
    )
    return task_id


def helper(core: Core, executor_id: str, **env: str) -> None:
    """The helper process, as the keeper starts it."""
    order = json.dumps({"url": dbos_url(core.database), "executor_id": executor_id})
    subprocess.run(
        [sys.executable, "-m", "example.jobs.recover"], input=order, text=True, check=True, timeout=60, cwd=ROOT, env=env or None
    )


def test_the_jobs_of_a_dead_executor_are_queued_again_and_no_others(service: Service) -> None:
    dead, other = claimed_by(service, "dead", "1.0.0"), claimed_by(service, "other", "2.0.0")
    core = core_of(service)
    helper(core, "dead")
    assert core.queue.running() == {other: "other"} and core.queue.ended([dead]) == {}
    assert leases_of(core.database.url).is_free("dead")


def test_the_jobs_of_a_living_executor_are_not_touched(service: Service) -> None:
    task_id, core = claimed_by(service, "alive"), core_of(service)
    leases = leases_of(core.database.url)
    assert leases.take("alive")
    helper(core, "alive")
    assert core.queue.running() == {task_id: "alive"}
    leases.release("alive")


def test_the_helper_does_not_wait_for_ever(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed_by(service, "dead")
    monkeypatch.setattr(recover, "PATIENCE_SECONDS", 0.1)
    assert not recover._wait_until_requeued(dbos_url(core_of(service).database), "dead")


def test_the_helper_needs_no_settings_of_the_server(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    task_id, core = claimed_by(service, "dead"), core_of(service)
    monkeypatch.setenv("APP_ENV", "production")
    monkeypatch.delenv("SECRET_KEY", raising=False)
    helper(core, "dead")
    assert core.queue.running() == {} and core.queue.ended([task_id]) == {}


def test_a_worker_finds_the_dead_and_does_their_jobs(working: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "INTERVAL_SECONDS", 0.1)
    source = script(working, gives())
    package_id = working.create()
    core = core_of(working)
    leases = leases_of(make_url(str(core.database.url.render_as_string(hide_password=False))))
    assert leases.take("soon-dead")
    table = "workflow_status" if core.database.is_sqlite else "dbos.workflow_status"

    def claim(session: object) -> None:
        session.execute(text(f"UPDATE {table} SET status = 'PENDING', executor_id = 'soon-dead' WHERE status = 'ENQUEUED'"))  # type: ignore[attr-defined]

    really = core.queue.enqueue

    def enqueue(session: object, workflow: str, task_id: str, *arguments: int) -> None:
        really(session, workflow, task_id, *arguments)  # type: ignore[arg-type]
        claim(session)

    monkeypatch.setattr(core.queue, "enqueue", enqueue)
    expect(working.post(f"/package/{package_id}/download"), 202)
    assert not eventually(lambda: source.fetches > 0, 1), "it took the job of one who lives"
    leases.release("soon-dead")
    assert eventually(lambda: working.package(package_id)["status"] == "downloaded", 20)
    assert source.fetches == 1
