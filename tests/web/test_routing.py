"""Routes: each declares its rule, answers methods truthfully, and reads no more than it should."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route

from example.app import create_app
from example.config import Settings
from example.identity.scopes import Scope
from example.web.routing import LARGEST_BODY, GatedRoute, public, requires, router
from tests.service import Service, expect, expect_problem

PUBLIC = {"/hello", "/health", "/health/ready", "/api/v1/version", "/api/v1/scopes"}
GIVES_CREDENTIALS = {f"/api/v1/auth/{name}" for name in ("register", "login", "refresh", "logout")}
DOCUMENTATION = {"/openapi.json", "/docs", "/redoc", "/docs-assets"}


def test_an_operation_without_a_rule_cannot_be_made() -> None:
    async def forgotten() -> None: ...

    with pytest.raises(TypeError, match="/forgotten: forgotten declares no access rule"):
        router("x").add_api_route("/forgotten", forgotten)


def test_every_route_of_the_service_is_gated_but_the_documentation() -> None:
    """What isn't an API route must be listed here: it answers everybody."""
    for route in create_app(Settings(_env_file=None)).routes:
        if isinstance(route, APIRoute):
            assert isinstance(route, GatedRoute), route.path
            assert route.rule.open == (route.path in PUBLIC), route.path
            assert (route.rule.scope is None) == (route.path in PUBLIC | GIVES_CREDENTIALS), route.path
        else:
            assert isinstance(route, Route | Mount) and route.path in DOCUMENTATION, route


def test_only_the_first_token_is_given_without_credentials() -> None:
    routes = [route for route in create_app(Settings(_env_file=None)).routes if isinstance(route, GatedRoute) and route.rule.scope]
    assert [(route.path, route.methods) for route in routes if route.rule.anonymous] == [("/api/v1/tokens", {"POST"})]


def test_every_gated_operation_refuses_a_caller_without_a_token(shared: Service) -> None:
    for route in create_app(Settings(_env_file=None)).routes:
        if isinstance(route, GatedRoute) and route.rule.scope and not route.rule.anonymous:
            for method in route.methods or ():
                path = route.path_format.format(package_id=1, token_id=1, task_id="x", name="x", username="x")
                expect_problem(shared.http.request(method, path, headers=shared.anonymous()), 401, "credentials_missing")


def test_a_rule_is_kept_on_its_endpoint() -> None:
    @requires(Scope.JOBS_READ)
    async def one() -> None: ...

    @public
    async def other() -> None: ...

    made = [GatedRoute("/x", endpoint, methods=["GET"]).rule.scope for endpoint in (one, other)]
    assert made == [Scope.JOBS_READ, None]


@pytest.mark.parametrize(("method", "path", "allow"), [
    ("PATCH", "/api/v1/packages", "GET, HEAD, POST"), ("PUT", "/api/v1/package/1", "DELETE, GET, HEAD"), ("GET",
    "/api/v1/package/1/download", "POST"),
    ("GET", "/api/v1/tokens/all", "DELETE"), ("OPTIONS", "/api/v1/tokens/1", "DELETE, GET, HEAD"), ("HEAD", "/api/v1/token/1", "DELETE"),
    ("POST", "/hello", "GET, HEAD"), ("DELETE", "/docs", "GET, HEAD"), ("POST", "/docs-assets/swagger-ui.css", "GET, HEAD"), ("POST",
    "/openapi.json", "GET, HEAD"),
])  # fmt: skip
def test_another_method_is_405_with_all_that_are_allowed(shared: Service, method: str, path: str, allow: str) -> None:
    answer = shared.http.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    if method != "HEAD":
        expect_problem(answer, 405, "method_not_allowed")


@pytest.mark.parametrize("path", [
    "/", "/nowhere", "/api", "/api/v1", "/api/v1/packages/", "/API/V1/packages", "/api/v2/packages", "/%00",
    "/%ff", "/docs/x", "/docs-assets/../app.py", "/docs-assets/%2e%2e/%2e%2e/fastapi/__init__.py", "/docs-assets/none",
])  # fmt: skip
def test_an_unknown_path_is_404_and_names_the_documentation(shared: Service, path: str) -> None:
    assert "/docs" in expect_problem(shared.http.get(path), 404, "not_found")["detail"]


@pytest.mark.parametrize("path", ["/hello", "/health", "/api/v1/packages", "/docs", "/openapi.json", "/docs-assets/swagger-ui.css"])
def test_head_answers_as_get_without_the_content(shared: Service, path: str) -> None:
    head, get = shared.http.head(path), shared.http.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert head.headers["content-type"] == get.headers["content-type"]


def test_head_of_what_is_refused_has_no_content_either(shared: Service) -> None:
    answer = shared.http.head("/api/v1/package/999999")
    assert (answer.status_code, answer.content) == (404, b"")


JSON = {"Content-Type": "application/json"}
PACKAGE = b'{"name": "hello", "version": "2.1.0"}'


@pytest.mark.parametrize(("content", "headers", "says"), [
    (b'{"name": "hello"', JSON, "not JSON: Expecting ',' delimiter at character 16"),
    (PACKAGE + b" trailing", JSON, "not JSON: Extra data at character 38"),
    (PACKAGE, {"Content-Type": "text/plain"}, "send it with Content-Type: application/json"),
    (PACKAGE, {"Content-Type": "application/x-www-form-urlencoded"}, "send it with Content-Type: application/json"),
    (PACKAGE, {}, "send it with Content-Type: application/json"),
    (b"", JSON, "Field required"),
    (b'{"name": "\\ud800x", "version": "1"}', JSON, "Input should be a valid string"),
])  # fmt: skip
def test_a_body_that_cannot_be_read_says_why(shared: Service, content: bytes, headers: dict[str, str], says: str) -> None:
    problem = expect_problem(shared.http.post("/api/v1/packages", content=content, headers=headers), 422, "validation_error")
    assert says in problem["errors"][0]["message"]


@pytest.mark.parametrize("content", [b"\xff", b'{"name": ' + b"1" * 5000 + b"}", b"[" * 100_000])
def test_a_body_that_breaks_the_reader_is_400(shared: Service, content: bytes) -> None:
    expect_problem(shared.http.post("/api/v1/packages", content=content, headers=JSON), 400, "bad_request")


@pytest.mark.parametrize("key", ["\\ud800", "\\u0000", "é", "x" * 10_000])
def test_a_strange_field_is_named_in_the_refusal(shared: Service, key: str) -> None:
    content = f'{{"name": "hello", "version": "1.0", "{key}": 1}}'.encode()
    problem = expect_problem(shared.http.post("/api/v1/packages", content=content, headers=JSON), 422, "validation_error")
    assert len(problem["errors"][0]["field"]) < 200


def test_a_thousand_mistakes_get_a_short_answer(shared: Service) -> None:
    body = {f"field{number}": 1 for number in range(1000)}
    problem = expect_problem(shared.post("/packages", body), 422, "validation_error")
    assert len(problem["errors"]) == 50


def test_a_body_over_the_limit_is_413_when_its_length_is_announced(shared: Service) -> None:
    expect_problem(shared.http.post("/api/v1/packages", content=b" " * (LARGEST_BODY + 1), headers=JSON), 413, "content_too_large")


def test_a_body_over_the_limit_is_413_when_its_length_is_not_announced(shared: Service) -> None:
    chunks = (b" " * 65536 for _ in range(LARGEST_BODY // 65536 + 1))
    expect_problem(shared.http.post("/api/v1/packages", content=chunks, headers=JSON), 413, "content_too_large")


def test_a_body_at_the_limit_is_read(shared: Service) -> None:
    content = b" " * (LARGEST_BODY - 2) + b"[]"
    expect_problem(shared.http.post("/api/v1/packages", content=content, headers=JSON), 422, "validation_error")


def test_websockets_are_refused(shared: Service) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    assert shared.http.get("/api/v1/packages", headers=upgrade).status_code == 403


def test_hello(shared: Service) -> None:
    assert expect(shared.http.get("/hello", headers=shared.anonymous()), 200) == {"message": "Welcome to Package API"}


def test_the_address_of_a_token_can_be_made_from_its_id() -> None:
    assert create_app(Settings(_env_file=None)).url_path_for("show_token", token_id="5") == "/api/v1/tokens/5"
