"""The queue and the engine: jobs exist with their transaction, are found, compared, purged, and run in one process after another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from dbos import DBOSClient

from example.app import close_services, open_services
from example.config import Settings
from example.core import Core, open_core
from example.jobs import queue as queues
from example.lifecycle import builds, downloads, jobs
from example.models import Job, JobLog, Package, now
from tests.lifecycle.scripted import Held, core_of, gives, script
from tests.nixstore import eventually
from tests.service import Service, expect, in_process


@contextmanager
def working_with(settings: Settings) -> Iterator[Service]:
    """The service with jobs, from its start to its end."""
    yield from in_process(settings.model_copy(update={"jobs_in_web": True}))


def queued(service: Service, version: str = "2.1.0") -> str:
    """A job that nobody runs."""
    return str(expect(service.post(f"/package/{service.create('hello', version)}/download"), 202)["task_id"])


def client_of(core: Core) -> DBOSClient:
    """The engine's own client."""
    return core.queue._client


def set_engine_state(core: Core, task_id: str, state: str) -> None:
    """What the engine says of a job, by hand."""
    from sqlalchemy import text

    table = "workflow_status" if core.database.is_sqlite else "dbos.workflow_status"
    core.database.transact(
        lambda session: session.execute(
            text(f"UPDATE {table} SET status = :state, completed_at = 1, executor_id = 'other' WHERE workflow_uuid = :id"),
            {"state": state, "id": task_id},
        )
    )


def test_a_job_of_a_transaction_that_fails_does_not_exist(service: Service) -> None:
    core = core_of(service)

    def work(session: object) -> None:
        core.queue.enqueue(session, downloads.WORKFLOW, "never", 1)  # type: ignore[arg-type]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        core.database.transact(work)
    assert core.queue.ended(["never"]) == {"never": "MISSING"}


def test_a_queued_job_has_not_ended_nor_begun_until_it_is_cancelled(service: Service) -> None:
    queue, task_id = core_of(service).queue, queued(service)
    assert queue.ended([task_id]) == {} and queue.running() == {}
    queue.cancel(task_id)
    assert queue.ended([task_id]) == {task_id: "CANCELLED"}


def test_no_jobs_have_no_states(service: Service) -> None:
    assert core_of(service).queue.ended([]) == {}


def test_cancelling_what_the_engine_does_not_know_is_no_error(service: Service) -> None:
    core_of(service).queue.cancel("never-heard-of")


def test_the_queue_answers_a_check(service: Service) -> None:
    core_of(service).queue.check()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("CANCELLED", "the job was cancelled in the queue"),
        ("MAX_RECOVERY_ATTEMPTS_EXCEEDED", "the job's worker died 20 times"),
        ("ERROR", "engine state ERROR"),
        ("SUCCESS", "engine state SUCCESS"),
        ("MISSING", "the job is not in the queue any more"),
    ],
)
def test_a_job_that_the_engine_has_ended_fails_with_the_reason(service: Service, state: str, said: str) -> None:
    core, task_id = core_of(service), queued(service)
    if state == "MISSING":
        client_of(core).delete_workflows([task_id])
    else:
        set_engine_state(core, task_id, state)
    builds.reconcile(core.database, core.queue)
    job = expect(service.get(f"/jobs/{task_id}"), 200)
    assert job["state"] == "failed" and said in job["error"]
    assert service.package(job["package_id"])["status"] == "failed"


@pytest.mark.parametrize("state", ["ENQUEUED", "PENDING", "DELAYED"])
def test_a_job_that_the_engine_still_has_is_left_alone(service: Service, state: str) -> None:
    core, task_id = core_of(service), queued(service)
    set_engine_state(core, task_id, state)
    builds.reconcile(core.database, core.queue)
    assert expect(service.get(f"/jobs/{task_id}"), 200)["state"] == "queued"


def test_a_job_cancelled_without_the_engine_being_told_is_cancelled_there_too(service: Service) -> None:
    core, task_id = core_of(service), queued(service)
    set_engine_state(core, task_id, "PENDING")

    def cancel(session: object) -> None:
        session.query(Job).one().state = "cancelled"  # type: ignore[attr-defined]

    core.database.transact(cancel)
    builds.reconcile(core.database, core.queue)
    assert core.queue.ended([task_id]) == {task_id: "CANCELLED"}


def test_of_very_many_jobs_the_oldest_are_compared_first(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "LOOKED_AT_ONCE", 2)
    tasks = [queued(service, f"{number}.0") for number in range(3)]
    with core_of(service).database.read() as session:
        assert downloads.open_tasks(session) == tasks[:2]


def test_old_rows_of_the_engine_are_purged_however_many(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "PURGED_AT_ONCE", 2)
    core = core_of(service)
    ended = [queued(service, f"{number}.0") for number in range(5)]
    waiting = queued(service, "9.0")
    for task_id in ended:
        core.queue.cancel(task_id)
    assert core.queue.purge(now() - timedelta(days=1)) == 0
    assert core.queue.purge(now() + timedelta(days=1)) == 5
    assert core.queue.ended([*ended, waiting]) == dict.fromkeys(ended, "MISSING")


def test_old_jobs_are_purged_with_their_logs_and_their_packages_stay(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "PURGED_AT_ONCE", 2)
    core = core_of(service)
    tasks = [queued(service, f"{number}.0") for number in range(4)]

    def end(session: object) -> None:
        for job in session.query(Job).filter(Job.task_id != tasks[3]):  # type: ignore[attr-defined]
            session.add(JobLog(job_id=job.id, text="said\n"))  # type: ignore[attr-defined]
        for task_id in tasks[:3]:
            downloads.fail(session, task_id, "because")  # type: ignore[arg-type]

    core.database.transact(end)
    assert jobs.purge(core.database, now() - timedelta(days=1)) == 0
    assert jobs.purge(core.database, now() + timedelta(days=1)) == 3
    with core.database.read() as session:
        assert [job.task_id for job in session.query(Job)] == [tasks[3]]
        assert session.query(JobLog).count() == 0
        assert session.query(Package).count() == 4


def test_one_process_can_run_jobs_stop_and_run_them_again(settings: Settings) -> None:
    for version in ("1.0.0", "2.0.0"):
        with working_with(settings) as service:
            script(service, gives())
            assert service.download(service.create("hello", version))["status"] == "downloaded"
            assert service.services is not None and service.services.engine is not None
            engine = service.services.engine
            assert engine.alive()
        assert not engine.alive()


def test_a_stop_ends_what_runs_and_the_next_start_does_it_again(settings: Settings) -> None:
    held = Held()
    with working_with(settings) as service:
        script(service, held)
        package_id = service.create()
        expect(service.post(f"/package/{package_id}/download"), 202)
        assert held.begun.wait(10)
    assert held.cancelled.is_set()
    with working_with(settings) as service:
        script(service, gives())
        assert service.until(package_id)["status"] == "downloaded"
        job = expect(service.get(f"/jobs/{service.package(package_id)['task_id']}"), 200)
        assert (job["state"], job["attempts"]) == ("succeeded", 2)


def test_start_sweeps_the_build_folders_of_the_dead(settings: Settings) -> None:
    left = settings.data_dir / "nix/tmp/nix-build-hello.drv-0"
    left.mkdir(parents=True)
    services = open_services(settings.model_copy(update={"jobs_in_web": True}))
    close_services(services)
    assert not left.exists()


def test_no_lock_file_stays_behind(working: Service) -> None:
    script(working, gives())
    working.ready()
    assert eventually(lambda: list((working.settings.data_dir / "locks").iterdir()) == [])


def test_the_threads_of_an_engine_end_with_it(settings: Settings) -> None:
    before = set(threading.enumerate())
    services = open_services(settings.model_copy(update={"jobs_in_web": True}))
    close_services(services)
    assert eventually(lambda: {thread for thread in threading.enumerate() if not thread.daemon} <= before)


def test_a_core_can_be_opened_and_closed_without_jobs(settings: Settings, tmp_path: Path) -> None:
    core = open_core(settings)
    core.database.ping()
    core.close()
