"""The audit over HTTP: who sees what of it, page by page or as a whole, and that it has every request once."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from example.audit.entries import Entry, append
from example.models import AuditEntry
from tests.holders import Holder, holder, token_in
from tests.nixstore import eventually
from tests.service import API, Service, expect, expect_problem
from tests.web.conftest import Fresh, limited


@pytest.fixture
def owner(shared: Service, fresh: Fresh) -> Holder:
    """The owner of a new workspace, whose token acts in it."""
    name = fresh.name("team")
    made = holder(shared, fresh.name("owner"))
    expect(shared.post("/workspaces", {"name": name}, headers=made.headers), 201)
    return Holder(made.name, made.user_id, token_in(shared, made, name))


def entries(service: Service, who: Holder | None = None, **query: Any) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = expect(service.get("/audit", params=query, headers=who.headers if who else None), 200)
    return listed


def find(service: Service, request_id: str) -> dict[str, Any]:
    """The entry of a request, which the queue commits a moment after the answer."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found[:] = [one for one in entries(service, all=True, limit=1000) if one["request_id"] == request_id]
        return bool(found)

    assert eventually(look), "the request left no entry"
    assert len(found) == 1
    return found[0]


def asked(service: Service, method: str, path: str, **options: Any) -> dict[str, Any]:
    """Send a request; answers its entry."""
    return find(service, service.http.request(method, f"{API}{path}", **options).headers["x-request-id"])


def test_a_change_says_who_did_what_from_where_and_with_which_token(shared: Service, owner: Holder) -> None:
    answer = shared.post("/packages", {"name": "hello", "version": "1.0"}, headers=owner.headers | {"User-Agent": "curl/8"})
    entry = find(shared, answer.headers["x-request-id"])
    assert {key: entry[key] for key in ("username", "action", "route", "method", "resource", "decision", "status", "required_scope")} == {
        "username": owner.name, "action": "create_package", "route": f"{API}/packages", "method": "POST", "resource": "packages",
        "decision": "allowed", "status": 201, "required_scope": "packages:publish",
    }  # fmt: skip
    assert (entry["ip"], entry["agent"], entry["credential"]) == ("127.0.0.1", "curl/8", "pat")
    assert "packages:admin" in entry["scopes"] and entry["token_prefix"].startswith("pm_pat_")
    assert datetime.now(UTC) - datetime.fromisoformat(entry["at"]) < timedelta(minutes=1)


def test_a_refusal_says_why(shared: Service) -> None:
    entry = asked(shared, "GET", "/packages", headers=limited(shared, scopes=["jobs:read"]))
    assert (entry["decision"], entry["reason"], entry["status"]) == ("denied", "insufficient_scope", 403)
    anonymous = asked(shared, "GET", "/packages", headers=shared.anonymous())
    assert (anonymous["decision"], anonymous["reason"], anonymous["credential"]) == ("denied", "credentials_missing", "none")


def test_it_is_newest_first_and_has_pages(shared: Service, owner: Holder) -> None:
    for version in range(5):
        shared.post("/packages", {"name": "hello", "version": f"{version}.0"}, headers=owner.headers)
    first = shared.get("/audit", params={"limit": 3, "action": "create_package"}, headers=owner.headers)
    second = shared.http.get(first.links["next"]["url"], headers=owner.headers)
    numbers = [one["seq"] for one in first.json() + second.json()]
    assert len(numbers) == 5 and numbers == sorted(numbers, reverse=True)
    assert "link" not in second.headers


def test_filters_choose(shared: Service, fresh: Fresh, owner: Holder) -> None:
    package = expect(shared.post("/packages", {"name": "hello", "version": "1.0"}, headers=owner.headers), 201)["id"]
    path = f"/package/{package}"
    expect(shared.get(path, headers=owner.headers), 200)
    assert shared.delete(path, headers=owner.headers).status_code == 204
    limited_token = expect(shared.post("/tokens", {"scopes": ["jobs:read"]}, headers=owner.headers), 201)
    denied = shared.get("/packages", headers=shared.with_token(limited_token["token"]))
    find(shared, denied.headers["x-request-id"])
    assert {one["action"] for one in entries(shared, owner, resource=f"package/{package}")} >= {"delete_package"}
    assert [one["status"] for one in entries(shared, owner, action="delete_package")] == [204]
    assert [one["reason"] for one in entries(shared, owner, decision="denied")] == ["insufficient_scope"]
    assert [one["action"] for one in entries(shared, owner, token_id=limited_token["id"])] == ["list_packages"]
    assert entries(shared, owner, user=fresh.name("nobody")) == []
    assert {one["username"] for one in entries(shared, owner, user=owner.name)} == {owner.name}
    now = datetime.now(UTC)
    assert entries(shared, owner, since=(now + timedelta(hours=1)).isoformat()) == []
    assert len(entries(shared, owner, until=now.isoformat(), since=(now - timedelta(hours=1)).isoformat())) >= 3


@pytest.mark.parametrize("moment", ["2026-12-31T23:59:60Z", "2026-11-21t12:00:00.123456789+02:00", "0001-01-01T00:00:00+23:59"])
def test_moments_are_those_of_rfc_3339(shared: Service, moment: str) -> None:
    expect(shared.get("/audit", params={"until": moment}), 200)


@pytest.mark.parametrize("query", [
    {"since": "0"}, {"since": "2026-11-21"}, {"since": "2026-11-21T12:00:00"}, {"until": "yesterday"}, {"until": "2026-13-01T00:00:00Z"},
    {"decision": "maybe"}, {"token_id": "x"}, {"before": 0}, {"before": 2**60}, {"limit": 1001}, {"user": "\0"}, {"action": "x" * 201},
])  # fmt: skip
def test_a_filter_that_cannot_be_read_is_refused(shared: Service, query: dict[str, Any]) -> None:
    expect_problem(shared.get("/audit", params=query), 422, "validation_error")


@pytest.mark.parametrize(
    ("role", "read", "export"), [("viewer", 403, 403), ("developer", 403, 403), ("maintainer", 200, 403), ("owner", 200, 200)]
)
def test_maintainers_read_and_owners_export(shared: Service, fresh: Fresh, role: str, read: int, export: int) -> None:
    who = holder(shared, fresh.name(role), role)
    assert shared.get("/audit", headers=who.headers).status_code == read
    assert shared.get("/audit/export", headers=who.headers).status_code == export
    for path in ("/audit", "/audit/export"):
        answer = shared.get(path, params={"all": True}, headers=who.headers)
        assert expect_problem(answer, 403, "insufficient_role")["required_role"] in ("administrator", "maintainer", "owner")


def test_a_workspaces_audit_has_its_own_entries_and_an_administrator_may_see_all(shared: Service, fresh: Fresh, owner: Holder) -> None:
    other = holder(shared, fresh.name("other"), "owner")
    shared.post("/packages", {"name": "hello", "version": "1.0"}, headers=owner.headers)
    shared.post("/packages", {"name": fresh.name("secretive"), "version": "1.0"}, headers=other.headers)
    ids = {one["workspace_id"] for one in entries(shared, owner, limit=1000)}
    assert len(ids) == 1 and {one["username"] for one in entries(shared, owner, limit=1000)} == {owner.name}
    assert owner.name not in {one["username"] for one in entries(shared, other, limit=1000)}
    assert ids < {one["workspace_id"] for one in entries(shared, all=True, limit=1000)}


def test_what_is_done_about_a_workspace_is_in_its_own_audit(shared: Service, fresh: Fresh) -> None:
    """Whatever workspace the token is of that does it."""
    name, actor = fresh.name("team"), holder(shared, fresh.name("actor"), "viewer")
    guest, viewer = holder(shared, fresh.name("guest")), holder(shared, fresh.name("viewer"))
    path = f"{API}/workspaces/{name}"
    expect(shared.post("/workspaces", {"name": name}, headers=actor.headers), 201)
    for who, role in ((guest, "developer"), (guest, "maintainer"), (viewer, "viewer")):
        expect(shared.http.put(f"{path}/members/{who.name}", json={"role": role}, headers=actor.headers), 200)
    expect(shared.http.put(f"{path}/settings", json={"longest_token_days": 9}, headers=actor.headers), 200)
    assert shared.http.delete(f"{path}/members/{guest.name}", headers=actor.headers).status_code == 204
    refused = shared.http.delete(path, headers=viewer.headers)
    find(shared, refused.headers["x-request-id"])
    told = entries(shared, Holder(actor.name, actor.user_id, token_in(shared, actor, name)))[::-1]
    details = [(one["action"], one["status"], json.loads(one["detail"]) if one["detail"] else None) for one in told]
    assert details[:7] == [
        ("create_workspace", 201, None),
        ("set_member", 200, {"role": "developer", "before": None}),
        ("set_member", 200, {"role": "maintainer", "before": "developer"}),
        ("set_member", 200, {"role": "viewer", "before": None}),
        ("change_settings", 200, {"longest_token_days": 9}),
        ("remove_member", 204, {"before": "maintainer"}),
        ("delete_workspace", 403, None),
    ]


def test_a_token_that_is_limited_to_some_packages_sees_what_it_did_itself(shared: Service, owner: Holder) -> None:
    shared.post("/packages", {"name": "hello", "version": "1.0"}, headers=owner.headers)
    made = expect(shared.post("/tokens", {"resources": ["team-*"]}, headers=owner.headers), 201)
    headers = shared.with_token(made["token"])
    find(shared, shared.get("/jobs", headers=headers).headers["x-request-id"])
    for query in ({}, {"token_id": made["id"]}):
        assert {one["action"] for one in expect(shared.get("/audit", params=query, headers=headers), 200)} <= {"list_jobs", "read_audit"}
    exported = shared.get("/audit/export", headers=headers).text
    assert {json.loads(line)["token_id"] for line in exported.splitlines()} == {made["id"]}
    expect_problem(shared.get("/audit", params={"token_id": made["id"] - 1}, headers=headers), 403, "resource_not_in_token")


def test_an_export_has_every_entry_oldest_first(shared: Service, owner: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("example.web.api.audit.CHUNK", 4)  # several steps
    for version in range(10):
        shared.post("/packages", {"name": "hello", "version": f"{version}.0"}, headers=owner.headers)
    answer = shared.get("/audit/export", params={"action": "create_package"}, headers=owner.headers)
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[::-1] == entries(shared, owner, action="create_package") and len(lines) == 10


def test_an_export_of_nothing_is_empty(shared: Service, owner: Holder) -> None:
    answer = shared.get("/audit/export", params={"action": "no such operation"}, headers=owner.headers)
    assert (answer.status_code, answer.content) == (200, b"")


def test_an_export_that_cannot_begin_says_so(shared: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise OperationalError("SELECT", None, Exception("gone"))

    monkeypatch.setattr("example.audit.reading._conditions", gone)
    expect_problem(shared.get("/audit/export"), 503, "service_unavailable")


@pytest.mark.slow
def test_a_large_export_comes_in_pieces_and_lets_others_through(service: Service) -> None:
    assert service.services is not None
    core = service.services.core
    some = [Entry(credential="none", action="something", decision="allowed", workspace_id=1, detail="x" * 200) for _ in range(2000)]
    for _ in range(15):
        core.database.transact(lambda session: append(session, core.keys.audit[0], some))
    pieces, lines = 0, 0
    with service.http.stream("GET", f"{API}/audit/export", params={"action": "something"}) as answer:
        for piece in answer.iter_raw():
            pieces, lines = pieces + 1, lines + piece.count(b"\n")
            if pieces == 2:
                assert httpx.get(f"{service.http.base_url}/hello").status_code == 200
    assert lines == 30_000 and pieces > 20


def test_a_tokens_log_has_what_it_was_used_for(shared: Service, fresh: Fresh, owner: Holder) -> None:
    made = expect(shared.post("/tokens", {"name": "ci"}, headers=owner.headers), 201)
    used = shared.with_token(made["token"])
    name = fresh.name("team")
    last = [
        shared.post("/workspaces", {"name": name}, headers=used),
        shared.get("/jobs", headers=used),
        shared.get("/packages", headers=used),
    ][-1]
    find(shared, last.headers["x-request-id"])
    path = f"/tokens/{made['id']}/logs"
    first = shared.get(path, params={"limit": 2}, headers=owner.headers)
    rest = shared.http.get(first.links["next"]["url"], headers=owner.headers)
    assert [one["action"] for one in first.json() + rest.json()] == ["list_packages", "list_jobs", "create_workspace"]


def test_a_tokens_log_is_its_owners_only(shared: Service, fresh: Fresh, owner: Holder) -> None:
    made = expect(shared.post("/tokens", {}, headers=owner.headers), 201)["id"]
    stranger = holder(shared, fresh.name("stranger"), "owner")
    for headers in (stranger.headers, None):
        expect_problem(shared.get(f"/tokens/{made}/logs", headers=headers), 404, "not_found")
    expect_problem(shared.get(f"/tokens/{made}/logs", headers=limited(shared, scopes=["audit:export"])), 403, "insufficient_scope")


def mix(service: Service, fresh: Fresh) -> list[Callable[[dict[str, str]], httpx.Response]]:
    """Requests of every kind: reads, changes, refusals, mistakes; each leaves one entry."""
    poor, http = limited(service, scopes=["jobs:read"]), service.http
    who = holder(service, fresh.name("member"), "viewer")
    package = service.create("hello", f"1.{uuid.uuid4().int}"[:30])
    json_type = {"Content-Type": "application/json"}
    return [
        lambda h: http.get(f"{API}/packages", headers=h),
        lambda h: http.get(f"{API}/package/{package}", headers=h),
        lambda h: http.post(f"{API}/packages", json={"name": "hello", "version": f"1.{uuid.uuid4().int}"[:30]}, headers=h),
        lambda h: http.post(f"{API}/tokens", json={"expires_in_days": 1}, headers=h),
        lambda h: http.put(f"{API}/workspaces/default/members/{who.name}", json={"role": "developer"}, headers=h),
        lambda h: http.get(f"{API}/jobs", headers=h),
        lambda h: http.get(f"{API}/audit", params={"limit": 5}, headers=h),
        lambda h: http.get(f"{API}/version", headers=h),
        lambda h: http.get(f"{API}/packages", headers=h | poor),
        lambda h: http.get(f"{API}/packages", headers=h | service.anonymous()),
        lambda h: http.get(f"{API}/packages", headers=h | {"Authorization": "Bearer nonsense"}),
        lambda h: http.get(f"{API}/packages", headers=h | {"X-Workspace": "absent"}),
        lambda h: http.get(f"{API}/package/{2**31 - 1}", headers=h),
        lambda h: http.get(f"{API}/nowhere", headers=h),
        lambda h: http.patch(f"{API}/packages", headers=h),
        lambda h: http.post(f"{API}/packages", json={"name": "hello"}, headers=h),
        lambda h: http.post(f"{API}/packages", content=b"\xff", headers=h | json_type),
        lambda h: http.delete(f"{API}/workspaces/default", headers=h),
    ]  # fmt: skip


@pytest.mark.slow
def test_requests_and_entries_match_one_to_one_under_load(service: Service, fresh: Fresh) -> None:
    assert service.services is not None
    database, requests, sent = service.services.core.database, mix(service, fresh), Counter[int]()
    prefix, threads, rounds = f"load-{uuid.uuid4().hex[:8]}", 16, 3

    def work(thread: int) -> None:
        for number in range(rounds * len(requests)):
            answer = requests[(number + thread) % len(requests)]({"X-Request-ID": f"{prefix}-{thread}-{number}"})
            sent[answer.status_code] += 1

    def written() -> Counter[str]:
        query = select(AuditEntry.request_id, func.count()).where(AuditEntry.request_id.startswith(prefix)).group_by(AuditEntry.request_id)
        with database.read() as session:
            return Counter({str(request_id): count for request_id, count in session.execute(query)})

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    expected = threads * rounds * len(requests)
    assert sum(sent.values()) == expected and {200, 201, 400, 401, 403, 404, 405, 409, 422} <= set(sent) and max(sent) < 500, sent
    assert eventually(lambda: len(written()) >= expected), f"{expected - len(written())} requests left no entry"
    assert set(written().values()) == {1} and len(written()) == expected


def test_an_anonymous_look_at_what_is_public_leaves_no_entry(service: Service) -> None:
    answers = [service.http.get(path, headers=service.anonymous()) for path in ("/hello", "/health", f"{API}/version", "/docs")]
    asked(service, "GET", "/packages")  # the queue keeps the order
    ids = {one["request_id"] for one in entries(service, all=True, limit=1000)}
    assert not ids & {answer.headers["x-request-id"] for answer in answers}


def test_a_token_that_is_refused_after_it_was_proven_is_named(shared: Service, owner: Holder) -> None:
    made = expect(shared.post("/tokens", {}, headers=owner.headers), 201)
    expect(shared.delete(f"/tokens/{made['id']}", headers=owner.headers), 200)
    entry = asked(shared, "GET", "/packages", headers=shared.with_token(made["token"]))
    assert (entry["decision"], entry["reason"], entry["token_id"], entry["username"]) == ("denied", "token_revoked", made["id"], owner.name)
    entry = asked(shared, "GET", "/packages", headers=owner.headers | {"X-Workspace": "nowhere"})
    assert (entry["decision"], entry["reason"], entry["username"]) == ("denied", "not_found", owner.name)


def test_what_is_about_an_account_is_in_no_workspaces_audit(shared: Service, owner: Holder) -> None:
    assert asked(shared, "GET", "/users/me", headers=owner.headers)["workspace_id"] is None


def test_nobody_can_fill_it_where_nobody_is_counted(service: Service) -> None:
    before = len(entries(service, all="true", limit=1000))
    for headers in (service.anonymous(), service.with_token("x")):
        for method, path in (("GET", "/health"), ("GET", "/nowhere"), ("PATCH", "/api/v1/users/me"), ("GET", "/docs")):
            service.http.request(method, path, headers=headers)
    time.sleep(0.2)
    assert len(entries(service, all="true", limit=1000)) == before + 1, "the first look"
