"""Jobs over HTTP, without a worker: they wait, can be looked at, followed and cancelled."""

from __future__ import annotations

import threading

import pytest

from example.lifecycle import downloads
from example.lifecycle.job_log import JobLogWriter
from example.models import JobLog
from tests.service import Service, expect, expect_problem
from tests.web.conftest import Fresh

MISSING = "00000000-0000-4000-8000-000000000000"


def queued(service: Service, name: str) -> str:
    """The task_id of a new job."""
    task_id: str = expect(service.post(f"/package/{service.create(name)}/download"), 202)["task_id"]
    return task_id


def write_log(service: Service, task_id: str, text: str) -> None:
    job_id = expect(service.get(f"/jobs/{task_id}"), 200)["id"]
    assert service.services is not None
    service.services.core.database.transact(lambda session: session.add(JobLog(job_id=job_id, text=text)))


def test_a_job_shows_what_it_is_for(shared: Service, fresh: Fresh) -> None:
    name = fresh.name()
    job = expect(shared.get(f"/jobs/{queued(shared, name)}"), 200)
    assert (job["kind"], job["label"], job["state"], job["attempts"]) == ("download", f"{name} 2.1.0", "queued", 0)
    assert job["progress"] == {"done": 0, "expected": 0, "phase": None}


def test_the_list_has_pages_and_filters(service: Service) -> None:
    tasks = [queued(service, f"pkg{number}") for number in range(3)]
    expect(service.post(f"/jobs/{tasks[0]}/cancel"), 200)
    first = service.get("/jobs", params={"limit": 2})
    assert first.headers["x-total-count"] == "3"
    second = service.http.get(first.links["next"]["url"])
    assert [job["task_id"] for job in expect(first, 200) + expect(second, 200)] == tasks
    waiting = service.get("/jobs", params={"state": "queued"})
    assert [job["task_id"] for job in expect(waiting, 200)] == tasks[1:]
    assert waiting.headers["x-total-count"] == "2"


def test_a_cancelled_job_says_by_whom_and_its_package_can_be_asked_for_again(shared: Service, fresh: Fresh) -> None:
    task_id = queued(shared, fresh.name())
    job = expect(shared.post(f"/jobs/{task_id}/cancel"), 200)
    assert (job["state"], job["error"]) == ("cancelled", "cancelled by local")
    package = shared.package(job["package_id"])
    assert (package["status"], package["error"]) == ("failed", "cancelled by local")
    assert expect(shared.post(f"/package/{package['id']}/download"), 202)["task_id"] != task_id


def test_a_job_that_has_ended_cannot_be_cancelled(shared: Service, fresh: Fresh) -> None:
    task_id = queued(shared, fresh.name())
    shared.post(f"/jobs/{task_id}/cancel")
    expect_problem(shared.post(f"/jobs/{task_id}/cancel"), 409, "job_finished")


@pytest.mark.parametrize(("method", "verb"), [("GET", ""), ("GET", "/log"), ("POST", "/cancel")])
@pytest.mark.parametrize(("task_id", "status", "code"), [
    (MISSING, 404, "not_found"), ("x", 422, "validation_error"), (MISSING.upper().replace("0", "A"), 422, "validation_error"),
    (MISSING + "%0A", 422, "validation_error"), ("%00", 422, "validation_error"),
])  # fmt: skip
def test_a_job_that_is_not_there(shared: Service, method: str, verb: str, task_id: str, status: int, code: str) -> None:
    expect_problem(shared.http.request(method, f"/api/v1/jobs/{task_id}{verb}"), status, code)


def test_a_state_that_there_is_not_is_refused(shared: Service) -> None:
    expect_problem(shared.get("/jobs", params={"state": "lost"}), 422, "validation_error")


def test_a_log_is_plain_text_that_no_browser_guesses_about(shared: Service, fresh: Fresh) -> None:
    task_id = queued(shared, fresh.name())
    write_log(shared, task_id, "<script>1</script>\n")
    write_log(shared, task_id, "building\n")
    answer = shared.get(f"/jobs/{task_id}/log")
    assert answer.text == "<script>1</script>\nbuilding\n"
    assert (answer.headers["content-type"], answer.headers["x-content-type-options"]) == ("text/plain; charset=utf-8", "nosniff")


def test_a_long_log_comes_whole(shared: Service, fresh: Fresh) -> None:
    task_id = queued(shared, fresh.name())
    job_id = expect(shared.get(f"/jobs/{task_id}"), 200)["id"]
    assert shared.services is not None
    chunks = [JobLog(job_id=job_id, text=f"line {number}\n") for number in range(120)]
    shared.services.core.database.transact(lambda session: session.add_all(chunks))
    assert shared.get(f"/jobs/{task_id}/log").text == "".join(f"line {number}\n" for number in range(120))


def test_head_of_a_followed_log_does_not_wait_for_its_end(shared: Service, fresh: Fresh) -> None:
    answer = shared.http.head(f"/api/v1/jobs/{queued(shared, fresh.name())}/log", params={"follow": "true"}, timeout=5)
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_followed_log_ends_when_its_job_has_ended(shared: Service, fresh: Fresh) -> None:
    task_id = queued(shared, fresh.name())
    write_log(shared, task_id, "first\n")

    def end() -> None:
        write_log(shared, task_id, "last\n")
        shared.post(f"/jobs/{task_id}/cancel")

    with shared.http.stream("GET", f"/api/v1/jobs/{task_id}/log", params={"follow": "true"}) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "first"
        thread = threading.Thread(target=end)
        thread.start()
        assert list(lines) == ["last"]
        thread.join()


def test_events_tell_log_progress_and_end(shared: Service, fresh: Fresh) -> None:
    task_id = queued(shared, fresh.name())
    write_log(shared, task_id, "one\ntwo\n")
    shared.post(f"/jobs/{task_id}/cancel")
    answer = shared.get(f"/jobs/{task_id}/log", headers={"Accept": "text/event-stream"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [line for line in answer.text.splitlines() if line.startswith("event:")] == ["event: log", "event: progress", "event: end"]
    assert "data: one\ndata: two" in answer.text


@pytest.mark.parametrize(
    ("given", "again"), [("{}", False), ("x", True), ("-1", True), ("٣", True), ("9" * 5000, True), ("99999999999999999999", True)]
)
def test_events_go_on_where_they_broke_off(shared: Service, fresh: Fresh, given: str, again: bool) -> None:
    task_id = queued(shared, fresh.name())
    write_log(shared, task_id, "one\n")
    shared.post(f"/jobs/{task_id}/cancel")
    headers = {"Accept": "text/event-stream"}
    position = next(line for line in shared.get(f"/jobs/{task_id}/log", headers=headers).text.splitlines() if line.startswith("id:"))[
        3:
    ].strip()
    more = shared.get(f"/jobs/{task_id}/log", headers=headers | {"Last-Event-ID": given.format(position).encode()})
    assert more.status_code == 200
    assert ("event: log" in more.text) is again


def test_a_quiet_stream_is_kept_alive(shared: Service, fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("example.web.api.following.KEEP_ALIVE_SECONDS", 0.0)
    monkeypatch.setattr("example.web.api.following.POLL_SECONDS", 0.01)
    task_id = queued(shared, fresh.name())
    with shared.http.stream("GET", f"/api/v1/jobs/{task_id}/log?follow=true", headers={"Accept": "text/event-stream"}) as answer:
        assert next(line for line in answer.iter_lines() if line.startswith(":")) == ": still there"
    shared.post(f"/jobs/{task_id}/cancel")


def test_progress_is_told_as_it_moves(shared: Service, fresh: Fresh) -> None:
    task_id = queued(shared, fresh.name())
    assert shared.services is not None
    database = shared.services.core.database
    work = database.transact(lambda session: downloads.begin(session, task_id))
    assert work is not None
    writer = JobLogWriter(database, work.job_id, limit=1000)
    database.transact(lambda session: writer._write(session, "", {"done": 1, "expected": 3, "phase": "building"}))
    job = expect(shared.get(f"/jobs/{task_id}"), 200)
    assert (job["state"], job["attempts"], job["progress"]) == ("running", 1, {"done": 1, "expected": 3, "phase": "building"})
    database.transact(lambda session: downloads.fail(session, task_id, "enough"))


def test_a_round_with_nothing_but_log_tells_no_progress(shared: Service, fresh: Fresh) -> None:
    task_id = queued(shared, fresh.name())
    with shared.http.stream("GET", f"/api/v1/jobs/{task_id}/log?follow=true", headers={"Accept": "text/event-stream"}) as answer:
        events = (line for line in answer.iter_lines() if line.startswith("event:"))
        assert next(events) == "event: progress"
        write_log(shared, task_id, "more\n")
        assert next(events) == "event: log"
        shared.post(f"/jobs/{task_id}/cancel")
        assert list(events) == ["event: progress", "event: end"]
