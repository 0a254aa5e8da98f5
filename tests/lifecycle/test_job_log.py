"""A job's log: written in batches, bounded, followed live as text and as server-sent events."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from example.db import Database
from example.lifecycle.job_log import LARGEST_CHUNK, PAGE_CHUNKS, JobLogWriter, read_log, storable
from example.models import Job, JobLog
from example.web.api import following
from tests.lifecycle.scripted import Held, core_of, gives, raises, script
from tests.nixstore import eventually
from tests.service import API, Service, expect, expect_problem

LIMIT = 1 << 20


@pytest.fixture
def job_id(service: Service) -> int:
    """A job to write the log of."""
    task_id = expect(service.post(f"/package/{service.create()}/download"), 202)["task_id"]
    return int(expect(service.get(f"/jobs/{task_id}"), 200)["id"])


def whole(database: Database, job_id: int) -> str:
    """The log as it is in the database."""
    text, after = "", 0
    while True:
        with database.read() as session:
            chunks = read_log(session, job_id, after=after)
        if not chunks:
            return text
        text += "".join(chunk.text for chunk in chunks)
        after = chunks[-1].position


def test_what_comes_in_between_is_written_as_one_piece(service: Service, job_id: int) -> None:
    database = core_of(service).database
    report = JobLogWriter(database, job_id, limit=LIMIT)
    for number in range(100):
        report.log(f"line {number}\n")
    asyncio.run(report.flush())
    with database.read() as session:
        assert session.query(JobLog).count() == 1
    assert whole(database, job_id) == "".join(f"line {number}\n" for number in range(100))


def test_nothing_new_writes_nothing(service: Service, job_id: int) -> None:
    database = core_of(service).database
    asyncio.run(JobLogWriter(database, job_id, limit=LIMIT).flush())
    assert whole(database, job_id) == ""


def test_a_long_text_is_cut_into_pieces_that_pages_can_hold(service: Service, job_id: int) -> None:
    database = core_of(service).database
    report = JobLogWriter(database, job_id, limit=100 * LARGEST_CHUNK)
    text = "x" * (LARGEST_CHUNK * (PAGE_CHUNKS + 2)) + "\n"
    report.log(text)
    asyncio.run(report.flush())
    with database.read() as session:
        page = read_log(session, job_id, after=0)
    assert len(page) == PAGE_CHUNKS and max(len(chunk.text) for chunk in page) == LARGEST_CHUNK
    assert whole(database, job_id) == text


def test_beyond_the_limit_a_note_is_kept_once(service: Service, job_id: int) -> None:
    database = core_of(service).database
    report = JobLogWriter(database, job_id, limit=30)
    for _ in range(100):
        report.log("0123456789\n")
    asyncio.run(report.flush())
    assert whole(database, job_id) == "0123456789\n0123456789\n… the log is longer than the limit; the rest is not kept\n"


@pytest.mark.parametrize(("said", "kept"), [("a\0b", "a�b"), ("half \ud83d", "half ?"), ("whole 🎉", "whole 🎉"), ("", "")])
def test_text_is_kept_as_every_database_takes_it(said: str, kept: str) -> None:
    assert storable(said) == kept


def test_a_log_and_a_phase_with_nul_are_written(service: Service, job_id: int) -> None:
    database = core_of(service).database
    report = JobLogWriter(database, job_id, limit=LIMIT)
    report.log("zero \0 zero\n")
    report.progress(1, 2, "phase \0" + "x" * 500)
    asyncio.run(report.flush())
    assert whole(database, job_id) == "zero � zero\n"
    with database.read() as session:
        job = session.get_one(Job, job_id)
        assert (job.done, job.expected, job.phase) == (1, 2, ("phase �" + "x" * 500)[:200])


class Unreliable:
    """A database that is away when the test says so, or lets writers wait."""

    def __init__(self, database: Database) -> None:
        self.database, self.away, self.slow, self.waits = database, False, threading.Event(), False

    def transact(self, work: Callable[[Session], Any]) -> Any:
        if self.waits:
            self.waits = False
            self.slow.wait(10)
        if self.away:
            raise OperationalError("INSERT", None, Exception("the database is away"))
        return self.database.transact(work)


def test_what_could_not_be_written_is_written_later_in_its_order(service: Service, job_id: int) -> None:
    database = core_of(service).database
    unreliable = Unreliable(database)

    async def log() -> None:
        report = JobLogWriter(unreliable, job_id, limit=LIMIT)  # type: ignore[arg-type]
        flushing = asyncio.create_task(report.keep_flushing())
        unreliable.away = True
        report.log("first\n")
        report.progress(1, 9, "phase")
        await asyncio.sleep(0.6)
        assert whole(database, job_id) == ""
        report.log("second\n")
        unreliable.away = False
        await asyncio.to_thread(eventually, lambda: whole(database, job_id) == "first\nsecond\n")
        assert whole(database, job_id) == "first\nsecond\n"
        flushing.cancel()

    asyncio.run(log())
    with database.read() as session:
        assert session.get_one(Job, job_id).phase == "phase"


def test_a_flush_that_is_cancelled_is_written_before_the_next(service: Service, job_id: int) -> None:
    database = core_of(service).database
    unreliable = Unreliable(database)

    async def log() -> None:
        report = JobLogWriter(unreliable, job_id, limit=LIMIT)  # type: ignore[arg-type]
        unreliable.waits = True
        report.log("first\n")
        flushing = asyncio.create_task(report.flush())
        await asyncio.sleep(0.1)
        flushing.cancel()
        report.log("second\n")
        last = asyncio.create_task(report.flush())
        await asyncio.sleep(0.1)
        unreliable.slow.set()
        await last

    asyncio.run(log())
    assert whole(database, job_id) == "first\nsecond\n"


def test_a_flush_that_is_cancelled_and_then_fails_loses_nothing(service: Service, job_id: int) -> None:
    database = core_of(service).database
    unreliable = Unreliable(database)

    async def log() -> None:
        report = JobLogWriter(unreliable, job_id, limit=LIMIT)  # type: ignore[arg-type]
        unreliable.waits = True
        report.log("first\n")
        flushing = asyncio.create_task(report.flush())
        await asyncio.sleep(0.1)
        flushing.cancel()
        unreliable.away = True
        unreliable.slow.set()
        await report.settle()
        unreliable.away = False
        report.log("second\n")
        await report.flush()

    asyncio.run(log())
    assert whole(database, job_id) == "first\nsecond\n"


# Over HTTP.


def running(service: Service, held: Held) -> str:
    """A job that waits for the test."""
    script(service, held)
    task_id = expect(service.post(f"/package/{service.create()}/download"), 202)["task_id"]
    assert held.begun.wait(10)
    return str(task_id)


def events(service: Service, task_id: str, after: str | None = None, follow: bool = True) -> Iterator[tuple[str, str, str | None]]:
    """The server-sent events of a log: (event, data, id); comments as the event ``:``."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after is not None else {})
    with service.http.stream("GET", f"{API}/jobs/{task_id}/log", params={"follow": follow}, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            if not line:
                if fields:
                    yield fields.get("event", ":"), fields.get("data", fields.get("", "")), fields.get("id")
                fields = {}
                continue
            name, _, value = line.partition(":")
            fields[name] = fields[name] + "\n" + value.removeprefix(" ") if name in fields else value.removeprefix(" ")


def test_a_follower_reads_the_log_while_it_grows_until_the_job_ends(working: Service) -> None:
    held = Held()
    task_id = running(working, held)
    held.says.append("one\n")
    seen = ""
    with working.http.stream("GET", f"{API}/jobs/{task_id}/log", params={"follow": True}) as answer:
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        for text in answer.iter_text():
            seen += text
            if seen == "one\n":
                held.says.append("two\n")
            elif seen == "one\ntwo\n":
                held.go_on.set()
    assert seen == "one\ntwo\n"


def test_without_follow_the_log_so_far_is_the_answer(working: Service) -> None:
    held = Held()
    task_id = running(working, held)
    held.says.append("so far\n")
    assert eventually(lambda: working.get(f"/jobs/{task_id}/log").text == "so far\n")
    held.go_on.set()


def test_events_carry_the_log_the_progress_and_the_end(working: Service) -> None:
    held = Held()
    task_id = running(working, held)
    held.says.append("one\ntwo\n")
    seen = []
    for event in events(working, task_id):
        seen.append(event)
        if event[0] == "log":
            held.go_on.set()
    kinds = [kind for kind, _, _ in seen]
    assert kinds[-1] == "end" and kinds.count("end") == 1 and kinds.count("log") == 1 and "progress" in kinds
    log = next(event for event in seen if event[0] == "log")
    assert log[1].rstrip("\n") == "one\ntwo" and log[2] is not None and log[2].isdigit()
    assert orjson.loads(seen[-1][1])["state"] == "succeeded"


def test_a_reader_that_was_cut_off_goes_on_where_it_stopped(working: Service) -> None:
    held = Held()
    task_id = running(working, held)
    held.says.append("one\n")
    position = next(event[2] for event in events(working, task_id) if event[0] == "log")
    held.says.append("two\n")
    assert eventually(lambda: working.get(f"/jobs/{task_id}/log").text == "one\ntwo\n")
    held.go_on.set()
    texts = [data for kind, data, _ in events(working, task_id, after=position) if kind == "log"]
    assert [text.strip() for text in texts] == ["two"]


def test_a_reader_that_comes_back_after_the_end_is_told_so(working: Service) -> None:
    script(working, raises(RuntimeError()))
    package = working.download(working.create())
    task_id = package["task_id"]
    positions = [event[2] for event in events(working, task_id) if event[0] == "log"]
    kinds = [kind for kind, _, _ in events(working, task_id, after=positions[-1] if positions else "99")]
    assert kinds == ["progress", "end"]


@pytest.mark.parametrize("position", ["", "x", "-1", "²", "9" * 40])
def test_a_position_that_is_none_means_from_the_beginning(working: Service, position: str) -> None:
    held = Held()
    task_id = running(working, held)
    held.says.append("one\n")
    assert eventually(lambda: working.get(f"/jobs/{task_id}/log").text == "one\n")
    held.go_on.set()
    working.until(1)
    headers = {"Accept": "text/event-stream", "Last-Event-ID": position.encode()}
    answer = working.http.get(f"{API}/jobs/{task_id}/log", headers=headers)  # type: ignore[arg-type]
    assert "event: log" in answer.text


def test_a_silent_job_keeps_its_followers_awake(working: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "KEEP_ALIVE_SECONDS", 0.3)
    held = Held()
    task_id = running(working, held)
    for kind, data, _ in events(working, task_id):
        if kind == ":":
            assert "still there" in data
            break
    held.go_on.set()


def test_the_log_of_a_job_that_was_deleted_meanwhile_ends(working: Service) -> None:
    held = Held()
    task_id = running(working, held)
    database = core_of(working).database

    def delete(session: Session) -> None:
        session.query(Job).delete()

    kinds = []
    for kind, _, _ in events(working, task_id):
        kinds.append(kind)
        database.transact(delete)
    assert "end" not in kinds
    held.go_on.set()


def test_the_log_of_no_job_is_not_found(service: Service) -> None:
    expect_problem(service.get("/jobs/00000000-0000-4000-8000-000000000000/log"), 404, "not_found")


def test_a_build_that_prints_much_is_kept_in_its_order(working: Service) -> None:
    package_id = working.ready("chatty", "1.0")
    log = working.get(f"/jobs/{working.package(package_id)['task_id']}/log").text
    lines = [line for line in log.splitlines() if "> chatter" in line]
    assert lines == [f"chatty-1.0> chatter {number} and more and more and more" for number in range(3000)]


def test_two_downloads_keep_their_logs_apart(working: Service) -> None:
    async def says(request: Any, report: Any) -> Any:
        report.log(f"I am {request.version}\n")
        return await gives()(request, report)

    script(working, says)
    one, two = working.ready("hello", "1.0.0"), working.ready("hello", "2.0.0")
    assert working.get(f"/jobs/{working.package(one)['task_id']}/log").text == "I am 1.0.0\n"
    assert working.get(f"/jobs/{working.package(two)['task_id']}/log").text == "I am 2.0.0\n"
