"""Packages over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service import Service, expect, expect_problem
from tests.web.conftest import Fresh, limited


def test_a_created_package_can_be_shown(service: Service) -> None:
    answer = service.post("/packages", {"name": "hello", "version": "2.1.0"})
    made = expect(answer, 201)
    assert answer.headers["location"] == f"/api/v1/package/{made['id']}"
    assert (made["name"], made["version"], made["source"], made["status"]) == ("hello", "2.1.0", "nix", "created")
    assert expect(service.get(f"/package/{made['id']}"), 200) == made


def test_the_same_package_twice_is_a_conflict_that_names_the_first(service: Service) -> None:
    first = service.create("hello", "2.1.0")
    problem = expect_problem(service.post("/packages", {"name": "hello", "version": "2.1.0"}), 409, "package_exists")
    assert problem["package_id"] == first


def test_the_list_has_pages_with_a_total_and_a_link(service: Service) -> None:
    ids = [service.create(f"pkg{number}") for number in range(5)]
    seen, url, pages = [], "/api/v1/packages?limit=2", 0
    while url:
        answer = service.http.get(url)
        assert answer.headers["x-total-count"] == "5"
        seen += [package["id"] for package in expect(answer, 200)]
        url, pages = answer.links.get("next", {}).get("url", ""), pages + 1
    assert (seen, pages) == (ids, 3)


def test_the_link_keeps_the_filters(service: Service) -> None:
    service.create("one")
    service.create("two")
    link = service.get("/packages", params={"limit": 1, "status": "created", "source": "nix"}).links["next"]["url"]
    assert {"status=created", "source=nix", "limit=1", "after=1"} <= set(link.partition("?")[2].split("&"))


@pytest.mark.parametrize("limit", [1, 1000])
def test_a_page_has_as_many_as_asked_for(service: Service, limit: int) -> None:
    for number in range(3):
        service.create(f"pkg{number}")
    assert len(expect(service.get("/packages", params={"limit": limit}), 200)) == min(limit, 3)


@pytest.mark.parametrize("query", [{"status": "created"}, {"name": "hello"}, {"source": "nix"}, {"status": "created", "name": "hello"}])
def test_a_filter_finds_what_fits(shared: Service, fresh: Fresh, query: dict[str, str]) -> None:
    name = fresh.name()
    wanted = shared.create(name)
    query = {**query, "name": name} if "name" in query else query
    answer = shared.get("/packages", params={**query, "limit": 1000})
    assert wanted in [package["id"] for package in expect(answer, 200)]
    assert int(answer.headers["x-total-count"]) == len(answer.json())


@pytest.mark.parametrize("query", [{"status": "activated"}, {"status": "failed"}, {"name": "HELLO"}, {"name": "hell"}, {"name": "%"}])
def test_a_filter_leaves_the_rest_out(service: Service, query: dict[str, str]) -> None:
    service.create("hello")
    answer = service.get("/packages", params=query)
    assert (expect(answer, 200), answer.headers["x-total-count"]) == ([], "0")


@pytest.mark.parametrize(("query", "field"), [
    ({"limit": "0"}, "limit"), ({"limit": "1001"}, "limit"), ({"limit": "x"}, "limit"), ({"limit": "1_0"}, "limit"), ({"limit": "1.0"},
    "limit"),
    ({"after": "-1"}, "after"), ({"after": "2147483648"}, "after"), ({"after": "9" * 5000}, "after"), ({"status": "gone"}, "status"),
    ({"source": "apt"}, "source"), ({"name": "a\0"}, "name"), ({"name": "x" * 65}, "name"),
])  # fmt: skip
def test_a_query_that_cannot_be_is_refused_by_field(shared: Service, query: dict[str, str], field: str) -> None:
    problem = expect_problem(shared.get("/packages", params=query), 422, "validation_error")
    assert [error["field"] for error in problem["errors"]] == [field]


BAD_NAMES = [
    "", "x", "x" * 51, "x" * 10_000, "${x}", "a b", "a'b", 'a"b', "--help", "-A", "a;b",
    "a\nb", "a\0b", "a/b", "../a", ".a", "a..b", "é", "1a", "$(id)", "`id`",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_cannot_be_is_refused(shared: Service, name: str) -> None:
    problem = expect_problem(shared.post("/packages", {"name": name, "version": "1.0"}), 422, "validation_error")
    assert problem["errors"][0]["field"] == "name"
    assert len(problem["detail"]) < 500


@pytest.mark.parametrize("version", ["", "latest", "-1", "1 0", "1\n", "1\0", "$1", "1;2", "1" * 65, "v1", "1/2"])
def test_a_version_that_cannot_be_is_refused(shared: Service, version: str) -> None:
    problem = expect_problem(shared.post("/packages", {"name": "hello", "version": version}), 422, "validation_error")
    assert problem["errors"][0]["field"] == "version"


@pytest.mark.parametrize(("body", "field"), [
    ({"name": "hello"}, "version"), ({"version": "1"}, "name"), ({"name": 1, "version": "1"}, "name"), ({"name": "hello", "version": 1},
    "version"),
    ({"name": "hello", "version": "1", "source": "apt"}, "source"), ({"name": "hello", "version": "1", "id": 7}, "id"),
    ([], "body"), ("x", "body"), (None, "body"), ({"name": ["hello"], "version": "1"}, "name"),
])  # fmt: skip
def test_a_body_that_cannot_be_is_refused_by_field(shared: Service, body: Any, field: str) -> None:
    problem = expect_problem(shared.http.post("/api/v1/packages", json=body), 422, "validation_error")
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize(
    ("method", "verb"), [("GET", ""), ("DELETE", ""), ("POST", "/download"), ("POST", "/activate"), ("POST", "/deactivate")]
)
@pytest.mark.parametrize(("package_id", "status", "code"), [
    ("999999", 404, "not_found"), ("0", 422, "validation_error"), ("-1", 422, "validation_error"), ("2147483648", 422, "validation_error"),
    ("9" * 5000, 422, "validation_error"), ("x", 422, "validation_error"), ("1.0", 422, "validation_error"),
    ("+1", 422, "validation_error"),
])  # fmt: skip
def test_a_package_that_is_not_there(shared: Service, method: str, verb: str, package_id: str, status: int, code: str) -> None:
    problem = expect_problem(shared.http.request(method, f"/api/v1/package/{package_id}{verb}"), status, code)
    assert "GET /api/v1/packages" in problem["detail"] or problem["errors"][0]["field"] == "package_id"


def test_downloading_queues_one_job_however_often_it_is_asked_for(service: Service) -> None:
    package_id = service.create()
    first = expect(service.post(f"/package/{package_id}/download"), 202)
    assert first["status"] == "downloading"
    assert expect(service.post(f"/package/{package_id}/download"), 202) == first
    assert [job["task_id"] for job in expect(service.get("/jobs"), 200)] == [first["task_id"]]


def test_a_package_cannot_be_deleted_while_it_is_downloaded(service: Service) -> None:
    package_id = service.create()
    task_id = expect(service.post(f"/package/{package_id}/download"), 202)["task_id"]
    problem = expect_problem(service.delete(f"/package/{package_id}"), 409, "package_busy")
    assert problem["task_id"] == task_id and "cancel its job" in problem["detail"]


def test_a_deleted_package_is_gone_and_its_id_is_never_used_again(service: Service) -> None:
    first = service.create()
    answer = service.delete(f"/package/{first}")
    assert (answer.status_code, answer.content) == (204, b"")
    expect_problem(service.get(f"/package/{first}"), 404, "not_found")
    assert service.create() > first


def test_a_package_that_is_not_downloaded_cannot_be_activated(service: Service) -> None:
    problem = expect_problem(service.post(f"/package/{service.create()}/activate"), 409, "invalid_status")
    assert "download it first" in problem["detail"] and problem["status_now"] == "created"


def test_deactivating_what_is_not_active_changes_nothing(service: Service) -> None:
    assert expect(service.post(f"/package/{service.create()}/deactivate"), 200) == {"status": "created", "generation": None}


@pytest.mark.parametrize(("check", "field"), [
    ({}, "health_check"), ({"command": ["a"], "url": "http://127.0.0.1/"}, "health_check"), ({"command": []}, "health_check.command"),
    ({"command": ["/bin/sh"]}, "health_check.command"), ({"command": ["../sh"]}, "health_check.command"), ({"command": ["a\0"]},
    "health_check.command.0"),
    ({"url": "http://example.com/"}, "health_check.url"), ({"url": "http://169.254.169.254/"}, "health_check.url"),
    ({"url": "file:///etc/passwd"}, "health_check.url"),
    ({"url": "http://127.0.0.1:99999/"}, "health_check.url"), ({"url": "http://u:p@127.0.0.1/"}, "health_check.url"),
    ({"url": "http://127.0.0.1@example.com/"}, "health_check.url"),
    ({"command": ["a"], "timeout_seconds": 0}, "health_check.timeout_seconds"), ({"command": ["a"], "timeout_seconds": 1e9},
    "health_check.timeout_seconds"),
    ({"command": ["a"], "more": 1}, "health_check.more"),
])  # fmt: skip
def test_a_health_check_reaches_nothing_but_the_environment_and_this_machine(shared: Service, check: dict[str, Any], field: str) -> None:
    problem = expect_problem(shared.post("/package/1/activate", {"health_check": check}), 422, "validation_error")
    assert problem["errors"][0]["field"] == field


@pytest.mark.parametrize(("method", "path", "scope"), [
    ("GET", "/packages", "packages:read"), ("POST", "/packages", "packages:publish"), ("GET", "/package/1", "packages:read"),
    ("POST", "/package/1/download", "environments:activate"), ("POST", "/package/1/activate", "environments:activate"),
    ("POST", "/package/1/deactivate", "environments:activate"), ("DELETE", "/package/1", "packages:delete"), ("GET", "/jobs", "jobs:read"),
    ("GET", "/environments", "environments:read"), ("POST", "/environments/nix/default/switch", "environments:activate"),
    ("POST", "/environments/nix/default/rollback", "environments:activate"), ("GET", "/tokens", "tokens:read"), ("DELETE", "/tokens/all",
    "tokens:admin"),
])  # fmt: skip
def test_each_operation_needs_its_scope(shared: Service, method: str, path: str, scope: str) -> None:
    headers = limited(shared, scopes=["users:write"])
    problem = expect_problem(shared.http.request(method, f"/api/v1{path}", headers=headers), 403, "insufficient_scope")
    assert problem["required_scope"] == scope
