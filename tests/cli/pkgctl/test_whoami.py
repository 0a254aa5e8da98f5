"""`pkgctl whoami`: user, role, workspace, credential."""

import json

import pytest

from example.cli.pkgctl import credentials
from example.cli.pkgctl.credentials import Saved

from .accounts import ACCESS, MASKED, ME, PAT, REFRESH, members
from .conftest import Run, Terminal
from .scripted import TOKEN, Service


@pytest.fixture
def kept(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person with a token from `pkgctl login`."""
    monkeypatch.delenv("PKGCTL_TOKEN")
    credentials.save(service.url, Saved(PAT, 7, expires_at="2027-02-19T12:00:00Z", username="ada", workspace="default"))


def test_a_kept_token_shows_all_that_is_known(run: Run, service: Service, kept: None) -> None:
    service.on("GET /users/me", ME)
    service.on("GET /tokens/7", MASKED | {"resources": ["team-*"]})
    assert run("whoami").stdout.splitlines() == [
        f"server:     {service.url}",
        "user:       ada",
        "email:      ada@example.com",
        "workspace:  default",
        "role:       developer",
        f"credential: token, from {credentials.location()}",
        f"prefix:     {PAT[:15]}",
        "id:         7",
        "name:       n",
        "scopes:     packages:read",
        "resources:  team-*",
        "expires at: 2027-02-19T12:00:00Z",
    ]


def test_json_holds_the_same(run: Run, service: Service, kept: None) -> None:
    service.on("GET /users/me", ME)
    service.on("GET /tokens/7", MASKED)
    told = json.loads(run("whoami", "--json").stdout)
    assert (told["user"], told["workspace"], told["role"]) == (ME, "default", "developer")
    assert told["credential"]["scopes"] == ["packages:read"]


def test_the_token_is_never_shown(run: Run, service: Service, kept: None) -> None:
    service.on("GET /users/me", ME)
    service.on("GET /tokens/7", MASKED)
    assert PAT not in run("whoami").output + run("whoami", "--json").output


def test_a_given_token_is_found_by_its_prefix_and_its_source_is_named(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PKGCTL_TOKEN", "")
    monkeypatch.setenv("API_KEY", PAT)
    service.on("GET /users/me", members("team"))
    service.on("GET /tokens", [MASKED | {"workspace": "team"}])
    shown = run("whoami").stdout
    assert "credential: token, from API_KEY\n" in shown
    assert "workspace:  team\n" in shown
    assert "id:         7\n" in shown
    assert "from --token" in run("whoami", "--token", PAT).stdout
    monkeypatch.setenv("PKGCTL_TOKEN", PAT)
    assert "from PKGCTL_TOKEN" in run("whoami").stdout


def test_a_token_that_may_not_ask_still_tells_what_is_known(run: Run, service: Service, kept: None) -> None:
    service.problem("GET /users/me", 403, "no", code="insufficient_scope")
    service.problem("GET /tokens/7", 403, "no", code="insufficient_scope")
    result = run("whoami")
    assert result.exit_code == 0
    assert "lacks the scope users:read" in result.stderr
    assert "expires at: 2027-02-19T12:00:00Z" in result.stdout


def test_another_refusal_is_one(run: Run, service: Service, kept: None) -> None:
    service.problem("GET /users/me", 403, "from elsewhere", code="ip_not_allowed")
    assert run("whoami").exit_code == 1


@pytest.mark.parametrize("path", ["/tokens", "/users/me"])
def test_a_server_in_trouble_is_told(run: Run, service: Service, path: str) -> None:
    service.on("GET /users/me", ME)
    service.problem(f"GET {path}", 503, "busy")
    service.script["GET /users/me"] = service.script["GET /users/me"][-1:]
    assert run("whoami").exit_code == 1


def test_a_session_shows_its_workspace(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PKGCTL_TOKEN")
    credentials.save(service.url, Saved(ACCESS, None, REFRESH, "2999-01-01T00:00:00Z", "ada", "team"))
    service.on("GET /users/me", ME)
    shown = run("whoami").stdout
    assert "credential: session, from" in shown
    assert "role:       owner\n" in shown
    assert service.last().headers["x-workspace"] == "team"


def test_an_administrator_is_one(run: Run, service: Service, kept: None) -> None:
    service.on("GET /users/me", members(is_admin=True))
    service.on("GET /tokens/7", MASKED)
    shown = run("whoami").stdout
    assert "administrator: yes" in shown
    assert "role:          owner (administrator)" in shown


def test_nobody_is_told_to_log_in(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PKGCTL_TOKEN")
    result = run("whoami")
    assert (result.exit_code, service.asked) == (1, [])
    assert f"Error: not logged in to {service.url}\nHint: run: pkgctl login" in result.stderr


def test_a_foreign_token_has_no_prefix(run: Run, service: Service) -> None:
    service.on("GET /users/me", ME | {"workspaces": None})
    service.on("GET /tokens", [MASKED])
    assert "prefix" not in run("whoami", "--token", "x" * 40).stdout
    assert TOKEN not in run("whoami").output


def test_a_terminal_shows_that_it_asks(terminal: Terminal, service: Service, kept: None) -> None:
    service.on("GET /users/me", ME)
    service.on("GET /tokens/7", MASKED)
    assert "Asking…" in terminal("whoami")[1]
