"""`pkgctl token logs` and `allowed-ips`; what is kept when the token in use is renewed; the advice at a 401."""

import json

import pytest

from example.cli.pkgctl import credentials
from example.cli.pkgctl.credentials import Saved

from .accounts import ACCESS, MADE, MASKED, PAT, REFRESH
from .conftest import Run
from .scripted import Service

ENTRY = {
    "seq": 9, "at": "2026-11-21T12:00:00Z", "ip": "10.0.0.7", "action": "package.create", "resource": "hello", "decision": "deny",
    "reason": "insufficient_scope", "status": 403,
}  # fmt: skip


def test_logs_are_a_table(run: Run, service: Service) -> None:
    service.on("GET /tokens/7/logs", [ENTRY])
    assert run("token", "logs", "7", "--limit", "5").stdout == (
        "2026-11-21T12:00:00Z\t10.0.0.7\tpackage.create\thello\tdeny\tinsufficient_scope\t403\n"
    )
    assert service.last().query == {"limit": ["5"]}
    assert json.loads(run("token", "logs", "7", "--json").stdout) == [ENTRY]


def test_addresses_are_replaced(run: Run, service: Service) -> None:
    service.on("PUT /tokens/7/allowed-ips", MASKED | {"allowed_ips": ["10.0.0.0/8", "::1"]})
    assert run("token", "allowed-ips", "7", "10.0.0.0/8", "::1").stdout == "Success: Token 7 may be used from 10.0.0.0/8, ::1\n"
    assert service.last().body == {"allowed_ips": ["10.0.0.0/8", "::1"]}
    assert run("token", "allowed-ips", "7", "::1", "--json").exit_code == 0


def test_anywhere_has_to_be_said(run: Run, service: Service) -> None:
    service.on("PUT /tokens/7/allowed-ips", MASKED | {"allowed_ips": []})
    assert run("token", "allowed-ips", "7", "--anywhere").stdout == "Success: Token 7 may be used from everywhere\n"
    assert service.last().body == {"allowed_ips": []}
    assert [run("token", "allowed-ips", "7", *rest).exit_code for rest in ((), ("::1", "--anywhere"))] == [2, 2]


def test_what_was_known_of_the_kept_token_stays_known(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PKGCTL_TOKEN")
    credentials.save(service.url, Saved("old", 5, username="ada", workspace="team", by_login=True))
    service.on("POST /tokens/5/regenerate", MADE)
    run("token", "regenerate", "5")
    expected = Saved(PAT, 7, expires_at="2027-02-19T12:00:00Z", username="ada", workspace="team", by_login=True)
    assert credentials.load(service.url) == expected


def test_a_new_token_that_is_kept_is_nobodys_log_in(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PKGCTL_TOKEN")
    credentials.save(service.url, Saved(ACCESS, None, REFRESH, "2999-01-01T00:00:00Z", "ada", "team", by_login=True))
    service.on("POST /tokens", MADE, 201)
    run("token", "create", "--save")
    assert credentials.load(service.url) == Saved(PAT, 7, expires_at="2027-02-19T12:00:00Z", username="ada", workspace="team")


@pytest.mark.parametrize("code", ["token_expired", "token_revoked", "token_invalid"])
def test_a_saved_token_that_is_over_says_log_in(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.delenv("PKGCTL_TOKEN")
    credentials.save(service.url, Saved(PAT, 7))
    service.problem("GET /packages", 401, "the token has expired", code=code)
    assert run("list").stderr == "Error: the token has expired\nHint: run: pkgctl login\n"


def test_a_given_token_that_is_over_says_where_it_is_from(run: Run, service: Service) -> None:
    service.problem("GET /packages", 401, "the token has expired", code="token_expired")
    hint = "give another one, or leave it out and run: pkgctl login\n"
    assert run("list").stderr == f"Error: the token has expired\nHint: the token is from PKGCTL_TOKEN: {hint}"
    assert run("list", "--token", PAT).stderr.endswith(f"Hint: the token is from --token: {hint}")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(7, "7 s"), (119, "119 s"), (120, "2 min, at "), (3599, "60 min, at "), (90_000, "2 days, on "), (10**30, "days, on")],
)
def test_a_wait_is_told_in_units_of_its_size(run: Run, service: Service, seconds: int, said: str) -> None:
    service.raw("GET /packages", b'{"title": "Too many requests"}', 429, "application/problem+json", Retry_After=str(seconds))
    assert f"{said}" in run("list").stderr


@pytest.mark.parametrize("wait", [None, "soon", -1, True, "²"])
def test_a_wait_that_is_no_number_is_left_out(run: Run, service: Service, wait: object) -> None:
    service.problem("GET /packages", 429, "Too many requests", retry_after=wait)
    assert run("list").stderr == "Error: Too many requests\n"
