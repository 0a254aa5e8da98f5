"""The gate: who is let through, and what the others are told."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from example.identity import tokens
from example.models import Token, User, now
from tests.identity.known import KNOWN
from tests.service import API, Service, expect, expect_problem
from tests.web.conftest import limited


def alter(service: Service, token_id: int, **values: Any) -> None:
    """Change a token's row as time or another process would."""
    assert service.services is not None
    service.services.core.database.transact(lambda session: session.execute(update(Token).where(Token.id == token_id).values(values)))


def ask(service: Service, authorization: str | bytes) -> httpx.Response:
    return service.get("/packages", headers={"Authorization": authorization})


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("scheme", ["Bearer", "Token", "bearer", "TOKEN", "Bearer  "])
def test_a_token_is_taken_with_either_scheme(shared: Service, scheme: str) -> None:
    expect(ask(shared, f"{scheme} {shared.token}"), 200)


def test_a_token_is_taken_as_the_password_of_basic(shared: Service) -> None:
    expect(ask(shared, basic("__token__", shared.token)), 200)


@pytest.mark.parametrize("given", ["", None])
def test_without_credentials_the_answer_says_how_to_send_a_token(shared: Service, given: str | None) -> None:
    answer = httpx.get(f"{shared.http.base_url}{API}/packages", headers={} if given is None else {"Authorization": given})
    problem = expect_problem(answer, 401, "credentials_missing")
    assert "Authorization: Bearer pm_pat_…" in problem["detail"]
    assert answer.headers["www-authenticate"] == 'Bearer realm="package-master"'


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer", "Bearer x", "Bearer pm_pat_" + "0" * 50, f"Bearer {KNOWN}0", f"Bearer {KNOWN} x",
        f"Bearer,{KNOWN}", KNOWN, "Digest x", "Basic", "Basic %%%", "Basic eDp5", "Basic eA==",
        basic("someone", KNOWN), basic("__token__", "x"), "Bearer \xe9", "Basic \xe9", b"Bearer \xff\xfe", b"\xff", "x" * 5000,
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
    ],
)  # fmt: skip
def test_a_malformed_header_is_token_malformed(shared: Service, authorization: str | bytes) -> None:
    given = authorization.encode("latin-1") if isinstance(authorization, str) else authorization
    answer = httpx.get(f"{shared.http.base_url}{API}/packages", headers={b"Authorization": given})
    expect_problem(answer, 401, "token_malformed")
    assert answer.headers["www-authenticate"] == 'Bearer realm="package-master", error="token_malformed"'


def test_a_well_formed_token_that_was_never_issued_is_token_invalid(shared: Service) -> None:
    expect_problem(ask(shared, f"Bearer {KNOWN}"), 401, "token_invalid")


def test_a_known_id_with_another_secret_is_token_invalid(shared: Service) -> None:
    body = shared.token[: len("pm_pat_") + tokens.ID_LENGTH] + "0" * tokens.SECRET_LENGTH
    forged = body + tokens._checksum(body)
    expect_problem(ask(shared, f"Bearer {forged}"), 401, "token_invalid")


def test_an_expired_token_is_token_expired(shared: Service) -> None:
    made = shared.new_token()
    alter(shared, made["id"], expires_at=now() - timedelta(seconds=1))
    problem = expect_problem(ask(shared, f"Bearer {made['token']}"), 401, "token_expired")
    assert "create a new one" in problem["detail"]


def test_a_revoked_token_is_token_revoked_on_the_next_request(shared: Service) -> None:
    made = shared.new_token()
    expect(ask(shared, f"Bearer {made['token']}"), 200)
    expect(shared.delete(f"/tokens/{made['id']}"), 200)
    expect_problem(ask(shared, f"Bearer {made['token']}"), 401, "token_revoked")


@pytest.mark.parametrize("state", [{"revoked_at": now()}, {"expires_at": now() - timedelta(days=1)}])
def test_a_wrong_secret_never_learns_that_a_token_has_ended(shared: Service, state: dict[str, Any]) -> None:
    made = shared.new_token()
    alter(shared, made["id"], **state)
    body = made["token"][: len("pm_pat_") + tokens.ID_LENGTH] + "0" * tokens.SECRET_LENGTH
    expect_problem(ask(shared, f"Bearer {body + tokens._checksum(body)}"), 401, "token_invalid")


def test_the_tokens_of_a_disabled_owner_are_refused_at_once(service: Service) -> None:
    expect(service.get("/packages"), 200)
    assert service.services is not None
    service.services.core.database.transact(lambda session: session.execute(update(User).values(disabled_at=now())))
    expect_problem(service.get("/packages"), 401, "token_revoked")


def test_a_token_is_refused_from_other_addresses_than_its_own(shared: Service) -> None:
    made = shared.new_token(allowed_ips=["192.0.2.0/24"])
    problem = expect_problem(ask(shared, f"Bearer {made['token']}"), 403, "ip_not_allowed")
    assert problem["your_ip"] == "127.0.0.1"


def test_a_token_is_taken_from_its_own_addresses(shared: Service) -> None:
    expect(ask(shared, f"Bearer {shared.new_token(allowed_ips=['127.0.0.0/8', '::1'])['token']}"), 200)


def test_a_missing_scope_is_told_with_the_scopes_that_there_are(shared: Service) -> None:
    problem = expect_problem(shared.get("/jobs", headers=limited(shared, scopes=["packages:publish"])), 403, "insufficient_scope")
    assert (problem["required_scope"], problem["your_scopes"]) == ("jobs:read", ["packages:publish"])


def test_a_higher_scope_gives_the_lower_ones(shared: Service) -> None:
    expect(shared.get("/packages", headers=limited(shared, scopes=["packages:delete"])), 200)


def test_a_lower_scope_never_gives_a_higher_one(shared: Service) -> None:
    headers = limited(shared, scopes=["packages:read"])
    expect_problem(shared.post("/packages", {"name": "hello", "version": "1.0"}, headers=headers), 403, "insufficient_scope")


def test_only_a_bad_token_is_worse_than_none(shared: Service) -> None:
    """A public operation answers everybody, whatever they send."""
    expect(shared.http.get("/hello", headers={"Authorization": "Bearer x"}), 200)


def test_bad_credentials_are_never_taken_for_none(shared: Service) -> None:
    expect_problem(shared.post("/tokens", {}, headers={"Authorization": "Bearer x"}), 401, "token_malformed")


def test_a_refused_caller_is_told_before_its_body_is_read(shared: Service) -> None:
    answer = httpx.post(f"{shared.http.base_url}{API}/packages", content=b"{" * (2 << 20), headers={"Content-Type": "application/json"})
    expect_problem(answer, 401, "credentials_missing")


def test_many_unknown_tokens_do_not_fill_the_memory(shared: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("example.web.gate.CACHED_RECORDS", 3)
    for _ in range(6):
        expect_problem(ask(shared, f"Bearer {tokens.mint().text}"), 401, "token_invalid")
        expect(ask(shared, f"Bearer {shared.new_token()['token']}"), 200)
    expect(shared.get("/packages"), 200)
