"""The OpenAPI document: complete for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from example.app import create_app
from example.config import Settings
from example.web.routing import GatedRoute
from tests.service import Service, expect

DOCUMENT: dict[str, Any] = create_app(Settings(_env_file=None)).openapi()


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


each = pytest.mark.parametrize(("name", "operation"), list(operations()), ids=[name for name, _ in operations()])


@each
def test_an_operation_has_a_summary_and_a_description(name: str, operation: dict[str, Any]) -> None:
    assert operation["summary"] and operation["description"] and operation["tags"]


@each
def test_an_operation_shows_an_example_of_its_answer(name: str, operation: dict[str, Any]) -> None:
    done = [answer for status, answer in operation["responses"].items() if status.startswith("2") and status != "204"]
    assert done or "204" in operation["responses"]
    assert all("example" in content for answer in done for content in answer["content"].values())


@each
def test_an_operation_names_its_problems_with_an_example_of_each(name: str, operation: dict[str, Any]) -> None:
    problems = {status: answer for status, answer in operation["responses"].items() if status >= "400" and "/health/ready" not in name}
    for status, answer in problems.items():
        shown = answer["content"]["application/problem+json"]
        assert shown["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert shown["example"]["status"] == int(status) and shown["example"]["code"]
    assert "requestBody" not in operation or {"400", "413", "422"} <= set(problems)
    assert "/health/ready" in name or "503" in problems


@each
def test_an_operation_that_needs_a_scope_says_which_and_how_to_authenticate(name: str, operation: dict[str, Any]) -> None:
    if "x-required-scope" in operation:
        assert {"token": []} in operation["security"]
        assert {"401", "403"} <= set(operation["responses"])
    else:
        assert "security" not in operation or name == "POST /api/v1/auth/logout"


@each
def test_a_body_and_parameters_have_examples_or_say_what_they_are(name: str, operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        assert parameter["description"], parameter["name"]


def test_every_gated_route_is_documented_once() -> None:
    routes = [
        (method, route.path_format)
        for route in create_app(Settings(_env_file=None)).routes
        if isinstance(route, GatedRoute)
        for method in route.methods or ()
    ]
    assert sorted(f"{method} {path}" for method, path in routes) == sorted(name for name, _ in operations())


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, operation in operations()]
    assert len(set(ids)) == len(ids)


def test_the_documents_scheme_is_the_one_that_the_gate_takes() -> None:
    assert DOCUMENT["components"]["securitySchemes"]["token"] | {"description": ""} == {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "pm_pat_…",
        "description": "",
    }


def test_the_document_is_served_to_everybody(shared: Service) -> None:
    assert expect(shared.http.get("/openapi.json", headers=shared.anonymous()), 200) == DOCUMENT
