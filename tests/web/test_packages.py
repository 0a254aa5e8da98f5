"""Packages over HTTP."""

from __future__ import annotations

from tests.service import Service, expect, expect_problem


def test_a_created_package_can_be_shown(service: Service) -> None:
    made = expect(service.post("/packages", {"name": "hello", "version": "2.1.0"}), 201)
    assert made["status"] == "created"
    assert expect(service.get(f"/package/{made['id']}"), 200) == made


def test_the_same_package_twice_is_a_conflict_that_names_the_first(service: Service) -> None:
    first = service.create("hello", "2.1.0")
    problem = expect_problem(service.post("/packages", {"name": "hello", "version": "2.1.0"}), 409, "package_exists")
    assert problem["package_id"] == first
