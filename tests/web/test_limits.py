"""Rate limits over HTTP: who is counted, what a caller is told, and what is never counted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from example.config import Settings
from tests.nixstore import eventually
from tests.service import Service, expect, expect_problem, in_process, serving


@contextmanager
def limited_service(settings: Settings, **limits: str) -> Iterator[Service]:
    yield from in_process(settings.model_copy(update={f"rate_limit_{name}": value for name, value in limits.items()}))


def test_a_user_who_asks_too_often_is_told_when_to_come_back(settings: Settings) -> None:
    with limited_service(settings, authenticated="3/hour") as service:
        for left in (2, 1, 0):
            answer = service.get("/packages")
            expect(answer, 200)
            assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("3", str(left))
            assert int(answer.headers["x-ratelimit-reset"]) > time.time()
        refused = service.get("/packages")
        problem = expect_problem(refused, 429, "rate_limited")
        assert refused.headers["retry-after"] == str(problem["retry_after"])
        assert 0 < problem["retry_after"] <= 3600
        assert f"{problem['retry_after']} seconds" in problem["detail"]


def test_all_tokens_of_a_user_count_together(settings: Settings) -> None:
    with limited_service(settings, authenticated="3/hour") as service:
        other = service.new_token()["token"]
        expect(service.get("/packages", headers=service.with_token(other)), 200)
        expect(service.get("/packages"), 200)
        expect_problem(service.get("/packages", headers=service.with_token(other)), 429, "rate_limited")


def test_who_sends_no_good_token_is_counted_by_address(settings: Settings) -> None:
    with limited_service(settings, anonymous="4/hour") as service:  # the first token was one
        for _ in range(3):
            expect_problem(service.get("/packages", headers=service.with_token("pm_pat_wrong")), 401, "token_malformed")
        expect_problem(service.get("/packages", headers=service.anonymous()), 429, "rate_limited")
        expect(service.get("/packages"), 200)


def test_who_is_nobody_and_comes_too_often_does_not_fill_the_audit(settings: Settings) -> None:
    with limited_service(settings, anonymous="4/hour") as service:
        for headers in (service.anonymous(), service.with_token("pm_pat_wrong")):
            for _ in range(10):
                service.get("/jobs", headers=headers)
        audit = service.services.audit if service.services else None
        assert audit is not None and eventually(lambda: audit.waiting == 0)
        entries = expect(service.get("/audit?all=true&resource=jobs"), 200)
        assert [entry["status"] for entry in entries] == [401] * 3, "the first token was the first of four"


def test_tokens_can_be_counted_by_address_too(settings: Settings) -> None:
    with limited_service(settings, pat="2/minute") as service:
        for _ in range(2):
            expect(service.get("/packages"), 200)
        assert expect_problem(service.get("/packages"), 429, "rate_limited")["policy"] == "pat"


def test_health_and_what_is_public_is_never_counted(settings: Settings) -> None:
    with limited_service(settings, anonymous="1/hour", authenticated="1/hour") as service:
        for _ in range(3):
            for path in ("/health", "/health/ready", "/hello", "/docs", "/openapi.json", "/api/v1/version", "/api/v1/scopes"):
                answer = service.http.get(path, headers=service.anonymous())
                assert answer.status_code in (200, 503) and "x-ratelimit-limit" not in answer.headers, path


def test_a_policy_that_is_empty_counts_nobody(settings: Settings) -> None:
    with limited_service(settings, authenticated="") as service:
        assert "x-ratelimit-limit" not in service.get("/packages").headers


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_processes_count_together(settings: Settings, tmp_path: Path) -> None:
    counted = settings.model_copy(update={"rate_limit_authenticated": "6/hour"})
    folder = tmp_path / "servers"  # the same: the same token
    with serving(counted, folder) as (_, one), serving(counted, folder) as (_, two):
        allowed, statuses = 0, [200]
        while statuses != [429, 429]:  # each notices within a second or so what the other has counted
            statuses = [service.get("/packages").status_code for service in (one, two)]
            allowed += statuses.count(200)
            time.sleep(1.2)
        assert 6 <= allowed < 12, "each for itself would have let in twelve"
