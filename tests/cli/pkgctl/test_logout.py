"""`pkgctl logout`: gone from the machine always, void at the server when that answers."""

import json
from pathlib import Path

import pytest

from example.cli.pkgctl import credentials
from example.cli.pkgctl.credentials import Saved

from .accounts import ACCESS, MASKED, PAT, REFRESH, asked
from .conftest import Run
from .scripted import Service

TOKEN = Saved(PAT, 7, by_login=True)
SESSION = Saved(ACCESS, None, REFRESH, "2999-01-01T00:00:00Z", "ada", "team")


def test_the_kept_token_is_revoked_with_itself(run: Run, service: Service) -> None:
    credentials.save(service.url, TOKEN)
    service.on("DELETE /tokens/7", {})
    assert run("logout").stdout == f"Success: Logged out of {service.url}: token 7 was revoked\n"
    assert asked(service) == [("DELETE /tokens/7", PAT)]
    assert credentials.load(service.url) is None


def test_the_kept_session_ends(run: Run, service: Service) -> None:
    credentials.save(service.url, SESSION)
    service.on("POST /auth/logout", {})
    assert "the session was ended" in run("logout").stdout
    assert asked(service) == [("POST /auth/logout", ACCESS)]
    assert credentials.load(service.url) is None


def test_a_token_without_a_number_is_found_by_its_prefix(run: Run, service: Service) -> None:
    credentials.save(service.url, Saved(PAT))
    service.on("GET /tokens", [MASKED])
    service.on("DELETE /tokens/7", {})
    assert "token 7 was revoked" in run("logout").stdout


@pytest.mark.parametrize("kept", [TOKEN, SESSION])
def test_what_was_void_already_is_no_failure(run: Run, service: Service, kept: Saved) -> None:
    credentials.save(service.url, kept)
    service.problem("DELETE /tokens/7", 401, "expired", code="token_expired")
    service.problem("POST /auth/logout", 401, "ended", code="token_revoked")
    result = run("logout")
    assert result.exit_code == 0
    assert "was no longer valid" in result.stdout
    assert credentials.load(service.url) is None


def test_a_server_that_is_away_does_not_keep_it_here(run: Run, person: Path) -> None:
    url = "http://127.0.0.1:9"
    credentials.save(url, TOKEN)
    result = run("logout", "--url", url)
    assert result.exit_code == 1
    assert "removed from this machine, but not ended at the server: cannot reach" in result.stderr
    assert "pkgctl token revoke ID" in result.stderr
    assert PAT not in person.read_text()


@pytest.mark.parametrize("listed", [[], None])
def test_a_token_that_is_not_found_is_told(run: Run, service: Service, listed: object) -> None:
    credentials.save(service.url, Saved(PAT))
    if listed is None:
        service.problem("GET /tokens", 403, "no tokens:read", code="insufficient_scope")
    else:
        service.on("GET /tokens", listed)
    result = run("logout")
    assert "was not found among yours" in result.stderr
    assert credentials.load(service.url) is None


def test_a_token_may_stay_valid(run: Run, service: Service) -> None:
    credentials.save(service.url, TOKEN)
    assert json.loads(run("logout", "--keep", "--json").stdout) == {"url": service.url, "done": "it stays valid at the server"}
    assert (service.asked, credentials.load(service.url)) == ([], None)


def test_logging_out_twice_is_fine(run: Run, service: Service, person: Path) -> None:
    result = run("logout")
    assert (result.exit_code, "nothing was saved" in result.stdout) == (0, True)
    assert service.asked == []
    assert not person.exists()


def test_other_servers_stay(run: Run, service: Service) -> None:
    credentials.save("http://other", Saved("other"))
    credentials.save(service.url, TOKEN)
    service.on("DELETE /tokens/7", {})
    run("logout")
    assert credentials.load("http://other") == Saved("other")
