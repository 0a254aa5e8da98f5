"""Downloads as people see them: asked for once or often, watched, cancelled, failed, tried again."""

from __future__ import annotations

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select

from example.lifecycle import downloads
from example.models import Job
from example.sources import Artifact, BuildFailed, FetchKilled
from tests.lifecycle.ready import host_of
from tests.lifecycle.scripted import Held, core_of, gives, raises, script
from tests.nixstore import eventually, processes
from tests.service import Service, expect, expect_problem


def job_of(service: Service, package_id: int) -> dict[str, object]:
    """The package's newest job."""
    task_id = service.package(package_id)["task_id"]
    job: dict[str, object] = expect(service.get(f"/jobs/{task_id}"), 200)
    return job


def test_a_download_builds_the_package_and_says_where_it_is(working: Service) -> None:
    package = working.download(working.create("tool", "3.0"))
    assert package["status"] == "downloaded" and package["error"] is None and package["pin"] == "test"
    assert (Path(package["artifact"]) / "bin/tool").read_text() == "3.0\n"
    assert package["size"] > 0 and package["downloaded_at"] is not None
    job = job_of(working, package["id"])
    assert (job["state"], job["attempts"], job["label"], job["error"]) == ("succeeded", 1, "tool 3.0", None)


def test_a_download_that_is_done_is_not_done_again(working: Service) -> None:
    source = script(working, gives())
    package_id = working.ready()
    assert expect(working.post(f"/package/{package_id}/download"), 200) == {"status": "downloaded", "task_id": None}
    assert source.fetches == 1


def test_an_artifact_that_the_store_has_lost_is_fetched_again(working: Service) -> None:
    package_id = working.ready("tool", "3.0")
    path = working.package(package_id)["artifact"]
    core_of(working).sources["nix"].forget(package_id)
    subprocess.run(["nix-store", "--delete", path], env=host_of(working).runtime.env, check=True, capture_output=True)
    assert working.post(f"/package/{package_id}/download").status_code == 202
    assert working.until(package_id)["status"] == "downloaded"
    assert (Path(path) / "bin/tool").exists()


def test_fifty_who_ask_at_once_get_one_job_and_one_build(working: Service) -> None:
    held = Held()
    source = script(working, held)
    package_id = working.create()
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: working.post(f"/package/{package_id}/download"), range(50)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["task_id"] for answer in answers}) == 1
    held.go_on.set()
    assert working.until(package_id)["status"] == "downloaded"
    assert source.fetches == 1
    with core_of(working).database.read() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 1


def test_progress_is_seen_while_the_job_runs(working: Service) -> None:
    package_id = working.create("talking", "1.0")
    task_id = expect(working.post(f"/package/{package_id}/download"), 202)["task_id"]
    assert eventually(lambda: "building talking-1.0" in str(job_of(working, package_id)["progress"]))
    job = job_of(working, package_id)
    assert job["state"] == "running" and job["finished_at"] is None
    progress = job["progress"]
    assert isinstance(progress, dict) and (progress["done"], progress["expected"]) == (0, 1)
    expect(working.post(f"/jobs/{task_id}/cancel"), 200)


def test_a_cancelled_build_is_gone_with_its_processes_and_can_be_asked_for_again(working: Service) -> None:
    package_id = working.create("talking", "1.0")
    task_id = expect(working.post(f"/package/{package_id}/download"), 202)["task_id"]
    mine = str(working.settings.nix_root)
    assert eventually(lambda: "still here" in working.get(f"/jobs/{task_id}/log").text, 15)
    cancelled = expect(working.post(f"/jobs/{task_id}/cancel"), 200)
    assert cancelled["state"] == "cancelled" and cancelled["error"].startswith("cancelled by ")
    package = working.package(package_id)
    assert package["status"] == "failed" and package["error"] == cancelled["error"]
    assert eventually(lambda: processes(f"--out-link\0{working.settings.data_dir}") == [], 5), "the build runs on"
    assert processes(mine) == []
    again = expect(working.post(f"/package/{package_id}/download"), 202)
    assert again["task_id"] != task_id
    expect(working.post(f"/jobs/{again['task_id']}/cancel"), 200)
    assert eventually(lambda: processes(f"--out-link\0{working.settings.data_dir}") == [], 5)


def test_a_queued_job_that_is_cancelled_never_runs(service: Service) -> None:
    package_id = service.create()
    task_id = expect(service.post(f"/package/{package_id}/download"), 202)["task_id"]
    assert expect(service.get(f"/jobs/{task_id}"), 200)["state"] == "queued"
    expect(service.post(f"/jobs/{task_id}/cancel"), 200)
    database, queue = core_of(service).database, core_of(service).queue
    assert database.transact(lambda session: downloads.begin(session, task_id)) is None
    assert queue.ended([task_id]) == {task_id: "CANCELLED"}
    assert service.package(package_id)["status"] == "failed"
    expect_problem(service.post(f"/jobs/{task_id}/cancel"), 409, "job_finished")


def test_a_successor_waits_until_the_cancelled_run_has_ended(working: Service) -> None:
    first, second = Held(), Held()
    script(working, first, second)
    package_id = working.create()
    cancelled = expect(working.post(f"/package/{package_id}/download"), 202)["task_id"]
    assert first.begun.wait(10)
    expect(working.post(f"/jobs/{cancelled}/cancel"), 200)
    successor = expect(working.post(f"/package/{package_id}/download"), 202)["task_id"]
    assert second.begun.wait(10)
    assert first.cancelled.is_set(), "both ran at once"
    second.go_on.set()
    assert working.until(package_id)["status"] == "downloaded"
    assert job_of(working, package_id)["task_id"] == successor
    assert expect(working.get(f"/jobs/{cancelled}"), 200)["state"] == "cancelled"


def test_a_run_that_was_cancelled_at_its_last_moment_changes_nothing_and_keeps_nothing(working: Service) -> None:
    held = Held()
    source = script(working, held)
    package_id = working.create()
    task_id = expect(working.post(f"/package/{package_id}/download"), 202)["task_id"]
    assert held.begun.wait(10)
    core = core_of(working)
    core.database.transact(lambda session: downloads.fail(session, task_id, "ended elsewhere"))  # the engine isn't told
    held.go_on.set()
    assert eventually(lambda: source.forgotten == [package_id])
    assert working.package(package_id)["status"] == "failed"
    assert working.package(package_id)["error"] == "ended elsewhere"


def test_a_second_run_of_a_job_that_another_has_finished_does_not_take_the_artifact_away(working: Service) -> None:
    held = Held()
    source = script(working, held)
    package_id = working.create()
    task_id = expect(working.post(f"/package/{package_id}/download"), 202)["task_id"]
    assert held.begun.wait(10)
    core = core_of(working)
    artifact = Artifact("/nowhere/store/y-hello", ("/nowhere/store/y-hello",))
    assert core.database.transact(lambda session: downloads.succeed(session, task_id, artifact))
    held.go_on.set()
    assert eventually(lambda: core.queue.ended([task_id]) == {task_id: "SUCCESS"})
    assert source.forgotten == []
    assert working.package(package_id)["artifact"] == "/nowhere/store/y-hello"


def test_a_failed_build_says_why_in_the_package_the_job_and_its_log(working: Service) -> None:
    package = working.download(working.create("failing", "1.0"))
    assert package["status"] == "failed"
    assert "failing 1.0 failed to build" in package["error"] and "the reason" in package["error"]
    job = job_of(working, package["id"])
    assert (job["state"], job["error"]) == ("failed", package["error"])
    log = working.get(f"/jobs/{job['task_id']}/log").text
    assert "failing-1.0> line 22\n" in log and log.endswith(f"{package['error']}\n")


def test_a_failed_package_can_be_downloaded_again_and_forgets_its_error(working: Service) -> None:
    script(working, raises(BuildFailed("the first try failed")), gives())
    package_id = working.create()
    assert working.download(package_id)["error"] == "the first try failed"
    package = working.download(package_id)
    assert (package["status"], package["error"]) == ("downloaded", None)


def test_a_version_that_is_not_there_fails_with_those_that_are(working: Service) -> None:
    error = working.download(working.create("tool", "9.9"))["error"]
    assert "tool 9.9 is not available" in error and "3.0 (test)" in error and "1.2 (test)" in error


def test_a_fetch_that_somebody_killed_is_tried_again(working: Service) -> None:
    source = script(working, raises(FetchKilled("nix-build was stopped from outside (SIGKILL)")), gives())
    package_id = working.ready()
    assert source.fetches == 2
    job = job_of(working, package_id)
    assert job["attempts"] == 2
    assert "--- attempt 2" in working.get(f"/jobs/{job['task_id']}/log").text


def test_a_build_that_somebody_killed_runs_again_to_its_end(working: Service) -> None:
    package_id = working.create("countdown", "1.0.0")
    task_id = expect(working.post(f"/package/{package_id}/download"), 202)["task_id"]
    assert eventually(lambda: "seconds left" in working.get(f"/jobs/{task_id}/log").text, 15)
    for process in processes(f"--out-link\0{working.settings.data_dir}"):
        os.kill(process, signal.SIGKILL)
    assert working.until(package_id)["status"] == "downloaded"
    assert job_of(working, package_id)["attempts"] == 2


def test_a_fetch_that_is_killed_every_time_fails_with_that_reason(working: Service) -> None:
    source = script(working, raises(FetchKilled("stopped from outside")))
    package = working.download(working.create())
    assert (package["status"], package["error"]) == ("failed", "stopped from outside (tried 3 times)")
    assert source.fetches == 3


def test_an_unexpected_error_is_told_without_its_details(working: Service) -> None:
    script(working, raises(RuntimeError("password=hunter2")))
    package = working.download(working.create())
    assert package["status"] == "failed"
    assert "an unexpected error stopped the download: RuntimeError" in package["error"]
    assert "hunter2" not in package["error"]


def test_an_error_may_hold_what_databases_refuse(working: Service) -> None:
    script(working, raises(BuildFailed("zero \0 and half \ud800 end")))
    assert working.download(working.create())["error"] == "zero � and half ? end"


@pytest.mark.parametrize("verb", ["download", "activate", "deactivate"])
def test_a_package_that_is_not_there_is_not_found(service: Service, verb: str) -> None:
    expect_problem(service.post(f"/package/4711/{verb}"), 404, "not_found")


def test_jobs_are_listed_by_state(working: Service) -> None:
    script(working, gives(), raises(BuildFailed("no")))
    working.download(working.create("hello", "1.0.0"))
    working.download(working.create("hello", "2.0.0"))
    answer = working.get("/jobs", params={"state": "failed"})
    assert [job["label"] for job in answer.json()] == ["hello 2.0.0"]
    assert answer.headers["x-total-count"] == "1"
    assert [job["label"] for job in expect(working.get("/jobs"), 200)] == ["hello 1.0.0", "hello 2.0.0"]


def test_a_token_for_some_names_sees_their_jobs_only(service: Service) -> None:
    tasks = {}
    for name, version in (("hello", "1.0.0"), ("cowsay", "3.8.4")):
        tasks[name] = expect(service.post(f"/package/{service.create(name, version)}/download"), 202)["task_id"]
    limited = service.with_token(service.new_token(resources=["cow*"])["token"])
    assert [job["task_id"] for job in expect(service.get("/jobs", headers=limited), 200)] == [tasks["cowsay"]]
    expect_problem(service.get(f"/jobs/{tasks['hello']}", headers=limited), 404, "not_found")
    expect_problem(service.post(f"/jobs/{tasks['hello']}/cancel", headers=limited), 404, "not_found")


def test_a_request_that_fails_leaves_no_job_behind(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    package_id = service.create()
    queue = core_of(service).queue
    monkeypatch.setattr(queue, "enqueue", lambda *_: (_ for _ in ()).throw(RuntimeError("in the middle")))
    assert service.post(f"/package/{package_id}/download").status_code == 500
    assert service.package(package_id)["status"] == "created"
    assert expect(service.get("/jobs"), 200) == []
