"""A database that is full, gone, or slow: each a clear answer, and the service goes on."""

from __future__ import annotations

import errno
import sqlite3
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from example.web import gate
from tests.service import Service, expect, expect_problem

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


class Cap:
    """Makes a SQLite database full, and gives the space back."""

    def __init__(self, service: Service) -> None:
        assert service.services is not None
        self.full = False
        event.listen(service.services.core.database.engine, "checkout", self.apply)

    def apply(self, connection: sqlite3.Connection, *_: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages if self.full else 2**30}")


@only_sqlite
def test_a_full_disk_is_507_nothing_is_half_written_and_the_service_goes_on(service: Service) -> None:
    cap = Cap(service)
    cap.full = True
    answers = [service.post("/packages", {"name": f"p{'x' * 45}{number}", "version": "1" * 60}) for number in range(300)]
    full = [answer for answer in answers if answer.status_code != 201]
    assert full, "the database must become full"
    for answer in full:
        expect_problem(answer, 507, "storage_full")
    total = service.get("/packages").headers["x-total-count"]
    assert int(total) == len(answers) - len(full)
    cap.full = False
    service.create("after")


@only_sqlite
def test_a_full_disk_is_507_for_tokens_and_downloads_too(service: Service) -> None:
    package_ids = [service.create(f"pkg{number}") for number in range(60)]
    cap = Cap(service)
    cap.full = True
    tokens = [service.post("/tokens", {"name": "x" * 100, "resources": [f"{'r' * 90}{n}" for n in range(50)]}) for _ in range(5)]
    downloads = [service.post(f"/package/{package_id}/download") for package_id in package_ids]
    for answers in (tokens, downloads):
        full = [answer for answer in answers if answer.status_code not in (201, 202)]
        assert full and all(expect_problem(answer, 507, "storage_full") for answer in full)


@only_postgresql
def test_a_database_that_is_gone_is_503_even_for_looking_up_the_token(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert service.services is not None
    engine = service.services.core.database.engine
    engine.dispose()

    def refuse(*_: object) -> None:
        raise OperationalError("connect", None, Exception("connection refused"))

    event.listen(engine, "do_connect", refuse)
    answer = service.get("/packages")
    problem = expect_problem(answer, 503, "service_unavailable")
    assert "Try again" in problem["detail"] and answer.headers["retry-after"] == "5"
    expect(service.http.get("/health"), 200)
    ready = service.http.get("/health/ready")
    assert ready.status_code == 503 and ready.json()["database"].startswith("does not answer")
    event.remove(engine, "do_connect", refuse)
    expect(service.get("/packages"), 200)


@only_sqlite
def test_a_reader_that_is_broken_is_503(service: Service) -> None:
    assert service.services is not None and service.services.reader is not None
    driver, service.services.reader._driver = service.services.reader._driver, sqlite3.connect(":memory:")
    service.services.reader._driver.close()
    expect_problem(service.get("/packages"), 503, "service_unavailable")
    expect(service.http.get("/hello"), 200)
    service.services.reader._driver = driver
    expect(service.get("/packages"), 200)


def raising(error: BaseException) -> Any:
    def verb(*_: object, **__: object) -> None:
        raise error

    return verb


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (PoolTimeout("QueuePool limit reached"), 503, "service_unavailable"),
        (OperationalError("SELECT 1", None, Exception("server closed the connection")), 503, "service_unavailable"),
        (DBAPIError("SELECT 1", None, Exception("terminated"), connection_invalidated=True), 503, "service_unavailable"),
        (IntegrityError("INSERT", None, Exception("secret detail")), 500, "internal_error"),
        (OSError(errno.ENOSPC, "No space left on device"), 507, "storage_full"),
        (PermissionError(errno.EACCES, "secret detail"), 500, "internal_error"),
        (RuntimeError("secret detail"), 500, "internal_error"),
    ],
)
def test_an_error_below_is_told_in_the_services_own_words(
    shared: Service, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str
) -> None:
    monkeypatch.setattr("example.web.api.packages.packages.page", raising(error))
    answer = shared.get("/packages")
    assert "secret detail" not in answer.text
    expect_problem(answer, status, code)


def test_a_fault_outside_every_handler_is_a_problem_with_its_request_id_too(shared: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "parse_authorization", raising(RuntimeError("secret detail")))
    expect_problem(shared.get("/packages", headers={"X-Request-ID": "my-request-1"}), 500, "internal_error")


def test_a_fault_in_the_middle_of_an_answer_closes_the_connection(shared: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    task_id = expect(shared.post(f"/package/{shared.create('breaks')}/download"), 202)["task_id"]
    monkeypatch.setattr("example.web.api.following.read_log", raising(RuntimeError("broken")))
    with pytest.raises(httpx.RemoteProtocolError):
        shared.get(f"/jobs/{task_id}/log")
    monkeypatch.undo()
    expect(shared.get(f"/jobs/{task_id}"), 200)
