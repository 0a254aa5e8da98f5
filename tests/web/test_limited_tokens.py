"""A token that is limited to some packages sees and touches no others: not by listing, counting, guessing ids, nor through jobs and
generations.
"""

from __future__ import annotations

import pytest

from tests.service import Service, expect, expect_problem
from tests.web.conftest import limited

ALL = ["packages:admin", "environments:activate", "jobs:cancel", "tokens:write"]


def test_it_lists_and_counts_only_its_own(service: Service) -> None:
    mine = service.create("team-a")
    for name in ("other", "team", "Team-b", "teamxa"):
        service.create(name)
    answer = service.get("/packages", headers=limited(service, scopes=ALL, resources=["team-*"]))
    assert [package["id"] for package in expect(answer, 200)] == [mine]
    assert answer.headers["x-total-count"] == "1"


@pytest.mark.parametrize("pattern", ["te_m-*", "te%*", "TEAM-*"])
def test_a_pattern_has_no_other_wildcards_and_minds_case(service: Service, pattern: str) -> None:
    package_id = service.create("team-a")
    if "%" in pattern:
        expect_problem(service.post("/tokens", {"resources": [pattern]}), 422, "validation_error")
        return
    headers = limited(service, scopes=ALL, resources=[pattern])
    expect_problem(service.get(f"/package/{package_id}", headers=headers), 404, "not_found")
    assert expect(service.get("/packages", headers=headers), 200) == []


@pytest.mark.parametrize(
    ("method", "verb"), [("GET", ""), ("DELETE", ""), ("POST", "/download"), ("POST", "/activate"), ("POST", "/deactivate")]
)
@pytest.mark.parametrize("name", ["other", "Team-a"])
def test_another_package_is_not_found_as_if_it_were_not_there(service: Service, method: str, verb: str, name: str) -> None:
    package_id = service.create(name)
    headers = limited(service, scopes=ALL, resources=["team-*"])
    problem = expect_problem(service.http.request(method, f"/api/v1/package/{package_id}{verb}", headers=headers), 404, "not_found")
    missing = expect_problem(service.http.request(method, f"/api/v1/package/999{verb}", headers=headers), 404, "not_found")
    assert problem["detail"].replace(f"package {package_id};", "package 999;") == missing["detail"]
    assert service.package(package_id)["status"] == "created"


def test_another_package_cannot_be_created_whether_it_exists_or_not(service: Service) -> None:
    service.create("other")
    headers = limited(service, scopes=ALL, resources=["team-*"])
    for name in ("other", "new"):
        problem = expect_problem(
            service.post("/packages", {"name": name, "version": "2.1.0"}, headers=headers), 403, "resource_not_in_token"
        )
        assert problem["your_resources"] == ["team-*"]


def test_its_own_package_can_be_created_and_downloaded(service: Service) -> None:
    headers = limited(service, scopes=ALL, resources=["team-*"])
    package_id = expect(service.post("/packages", {"name": "team-a", "version": "1.0"}, headers=headers), 201)["id"]
    task_id = expect(service.post(f"/package/{package_id}/download", headers=headers), 202)["task_id"]
    assert [job["task_id"] for job in expect(service.get("/jobs", headers=headers), 200)] == [task_id]


def test_jobs_of_others_are_not_found_listed_counted_or_cancelled(service: Service) -> None:
    task_id = expect(service.post(f"/package/{service.create('other')}/download"), 202)["task_id"]
    headers = limited(service, scopes=ALL, resources=["team-*"])
    answer = service.get("/jobs", headers=headers)
    assert (expect(answer, 200), answer.headers["x-total-count"]) == ([], "0")
    for method, verb in (("GET", ""), ("GET", "/log"), ("POST", "/cancel")):
        expect_problem(service.http.request(method, f"/api/v1/jobs/{task_id}{verb}", headers=headers), 404, "not_found")
    assert expect(service.get(f"/jobs/{task_id}"), 200)["state"] == "queued"


@pytest.mark.slow
def test_it_sees_of_an_environment_only_its_own_packages(working: Service) -> None:
    expect(working.post(f"/package/{working.ready('hello', '2.1.0')}/activate"), 200)
    path = "/environments/nix/default"
    stranger = limited(working, scopes=ALL, resources=["team-*"])
    assert expect(working.get(path, headers=stranger), 200)["packages"] == []
    assert [one["packages"] for one in expect(working.get(f"{path}/generations", headers=stranger), 200)] == [[]]
    assert [one["packages"] for one in expect(working.get("/environments", headers=stranger), 200)] == [[]]
    owner = limited(working, scopes=ALL, resources=["hel*"])
    assert [one["name"] for one in expect(working.get(path, headers=owner), 200)["packages"]] == ["hello"]


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "body"), [("switch", {"generation": 1}), ("rollback", {"to": 1}), ("rollback", None)])
def test_it_cannot_bring_back_or_take_away_another_package(working: Service, verb: str, body: dict[str, int] | None) -> None:
    expect(working.post(f"/package/{working.ready('hello', '2.1.0')}/activate"), 200)
    expect(working.post(f"/package/{working.ready('hello', '2.0.0')}/activate"), 200)
    path = f"/environments/nix/default/{verb}"
    problem = expect_problem(
        working.post(path, body, headers=limited(working, scopes=ALL, resources=["team-*"])), 403, "resource_not_in_token"
    )
    assert problem["resource"] == "hello"
    assert expect(working.get("/environments/nix/default"), 200)["generation"] == 2
    expect(working.post(path, body, headers=limited(working, scopes=ALL, resources=["hello"])), 200)


@pytest.mark.slow
def test_its_health_check_runs_no_program_of_another_package(working: Service) -> None:
    expect(working.post(f"/package/{working.ready('cowsay', '3.8.4')}/activate"), 200)
    package_id = working.ready("hello", "2.1.0")
    owner = limited(working, scopes=ALL, resources=["hello"])
    check = {"health_check": {"command": ["cowsay", "I am out"]}}
    problem = expect_problem(working.post(f"/package/{package_id}/activate", check, headers=owner), 422, "validation_error")
    assert "hello has no program 'cowsay'" in problem["detail"]
    own = {"health_check": {"command": ["hello", "--version"]}}
    expect(working.post(f"/package/{package_id}/activate", own, headers=owner), 200)
    switch = {"generation": 1, "health_check": {"command": ["hello"]}}
    expect_problem(working.post("/environments/nix/default/switch", switch, headers=owner), 422, "validation_error")
