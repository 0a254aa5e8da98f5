"""Environments over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service import Service, expect, expect_problem

PATH = "/environments/nix/default"


def test_an_environment_that_has_not_come_into_being_is_empty(service: Service) -> None:
    shown: dict[str, Any] = {"source": "nix", "name": "default", "path": None, "generation": None, "packages": []}
    assert expect(service.get(PATH), 200) == shown
    assert expect(service.get("/environments"), 200) == []
    assert expect(service.get(f"{PATH}/generations"), 200) == []


@pytest.mark.parametrize(("verb", "body"), [("rollback", None), ("rollback", {"to": 1}), ("switch", {"generation": 1})])
def test_nothing_can_be_switched_before_anything_was_activated(service: Service, verb: str, body: Any) -> None:
    problem = expect_problem(service.post(f"{PATH}/{verb}", body), 404, "not_found")
    assert "when the first package is activated" in problem["detail"]


@pytest.mark.parametrize(("verb", "body", "field"), [
    ("rollback", {"to": 0}, "to"), ("rollback", {"to": 2**31}, "to"), ("rollback", {"to": "x"}, "to"), ("rollback", {"more": 1}, "more"),
    ("switch", {}, "generation"), ("switch", {"generation": -1}, "generation"), ("switch", {"generation": 1, "health_check": {}},
    "health_check"),
    ("switch", None, "body"),
])  # fmt: skip
def test_a_body_that_cannot_be_is_refused_by_field(shared: Service, verb: str, body: Any, field: str) -> None:
    problem = expect_problem(shared.post(f"{PATH}/{verb}", body), 422, "validation_error")
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize("path", ["/environments/nix/other", "/environments/pypi/default", f"{PATH}/nothing"])
def test_other_environments_are_not_there(shared: Service, path: str) -> None:
    expect_problem(shared.get(path), 404, "not_found")


@pytest.mark.slow
def test_each_change_is_a_generation_and_every_one_can_come_back(working: Service) -> None:
    old, new = working.ready("hello", "2.1.0"), working.ready("hello", "2.0.0")
    assert expect(working.post(f"/package/{old}/activate", {"health_check": {"command": ["hello"]}}), 200) == {
        "status": "activated",
        "generation": 1,
    }
    assert expect(working.post(f"/package/{new}/activate"), 200)["generation"] == 2
    assert [one["version"] for one in expect(working.get(PATH), 200)["packages"]] == ["2.0.0"]
    assert [one["id"] for one in expect(working.post(f"{PATH}/rollback"), 200)["packages"]] == [old]
    assert expect(working.post(f"{PATH}/switch", {"generation": 2}), 200)["generation"] == 2
    problem = expect_problem(working.post(f"{PATH}/switch", {"generation": 9}), 404, "not_found")
    assert "there are: 2, 1" in problem["detail"]
    shown = [(one["number"], one["current"]) for one in expect(working.get(f"{PATH}/generations"), 200)]
    assert shown == [(2, True), (1, False)]
    assert expect(working.post(f"/package/{new}/deactivate"), 200) == {"status": "downloaded", "generation": 3}
    check = {"health_check": {"command": ["nothing"]}}
    expect_problem(working.post(f"{PATH}/switch", {"generation": 2, **check}), 409, "activation_failed")
    assert len(expect(working.get("/environments"), 200)) == 1
