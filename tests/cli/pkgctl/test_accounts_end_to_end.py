"""pkgctl against the real service: people register, log in, work together, and leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import databases
from tests.nixstore import make_settings
from tests.service import ROOT, Service, in_process

pytestmark = pytest.mark.slow

PASSWORD = "seven lazy otters at dawn"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("accounts")
    settings = make_settings(folder / "data", database_url=databases.sqlite_url(folder / "template.db", folder))
    yield from in_process(settings)


@pytest.fixture
def person(real: Service, tmp_path: Path) -> Callable[[str], Run]:
    """Somebody with a configuration of their own; returns what runs pkgctl as they do, with a line in its standard input."""

    def sits_down(name: str) -> Run:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PKGCTL_", "API_KEY"))}
        home = tmp_path / name
        env |= {"PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(home), "PKGCTL_URL": str(real.http.base_url), "PKGCTL_KEYRING": "off"}

        def run(*words: str, text: str = "", status: int = 0) -> subprocess.CompletedProcess[str]:
            argv = [sys.executable, "-m", "example.cli.pkgctl.main", *words]
            done = subprocess.run(argv, env=env, input=text, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == status, done.stdout + done.stderr
            return done

        return run

    return sits_down


def joined(person: Callable[[str], Run], name: str, *options: str) -> Run:
    """Somebody who has registered and logged in."""
    run = person(name)
    run("register", name, "--email", f"{name}@example.com", "--password-stdin", text=PASSWORD)
    run("login", name, "--password-stdin", *options, text=PASSWORD)
    return run


def test_a_log_in_leaves_a_token_that_works_and_dies_with_the_log_out(person: Callable[[str], Run]) -> None:
    run = joined(person, "alice")
    shown = run("whoami").stdout
    assert "user:       alice\n" in shown
    assert "role:       developer\n" in shown
    assert "scopes:     " in shown
    run("create", "hello", "2.1.0")
    number = json.loads(run("whoami", "--json").stdout)["credential"]["id"]
    run("token", "logs", str(number))
    assert f"token {number} was revoked" in run("logout").stdout
    assert "pkgctl login" in run("list", status=1).stderr


def test_logging_in_again_ends_the_token_before(person: Callable[[str], Run]) -> None:
    run = joined(person, "again")
    assert "was revoked" in run("login", "again@example.com", "--password-stdin", "--token-days", "30", text=PASSWORD).stderr
    states = [line.split("\t")[-1] for line in run("token", "list").stdout.splitlines()]
    assert sorted(states) == ["", "revoked"]


def test_a_regenerated_token_goes_on_working(person: Callable[[str], Run]) -> None:
    run = joined(person, "rita")
    told = json.loads(run("whoami", "--json").stdout)
    run("token", "regenerate", str(told["credential"]["id"]))
    assert "user:       rita\n" in run("whoami").stdout


def test_a_wrong_password_is_refused(person: Callable[[str], Run]) -> None:
    assert "no account has this name and password" in person("nobody")("login", "nobody", "--password-stdin", text="x", status=1).stderr


def test_a_session_survives_many_commands_that_find_it_over_at_once(person: Callable[[str], Run], tmp_path: Path) -> None:
    run = joined(person, "sessa", "--session")
    file = tmp_path / "sessa" / "package-master" / "credentials.json"
    for _ in range(2):
        servers = json.loads(file.read_text())
        for entry in servers["servers"].values():
            entry["expires_at"] = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        file.write_text(json.dumps(servers))
        threads = [threading.Thread(target=run, args=("list",)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        run("list")
    assert "the session was ended" in run("logout").stdout
    assert "pkgctl login" in run("list", status=1).stderr


def test_a_team_works_in_a_workspace_of_its_own(person: Callable[[str], Run]) -> None:
    owner, guest = joined(person, "olga", "--session"), joined(person, "gus", "--session")
    owner("workspace", "create", "team", "--description", "What we run")
    code = owner("workspace", "invite", "team", "--role", "viewer", "--days", "2").stdout
    assert "there is no workspace" in guest("list", "-w", "team", status=1).stderr
    assert guest("workspace", "join", text=code).stdout == "Success: You are viewer in team\n"
    guest("list", "-w", "team")
    assert "Error: " in guest("-w", "team", "create", "hello", "1.0", status=1).stderr
    assert owner("workspace", "add", "team", "gus", "--role", "developer").stdout == "Success: gus is developer in team\n"
    guest("-w", "team", "create", "hello", "1.0")
    assert "gus\tdeveloper" in owner("workspace", "members", "team").stdout
    assert "longest token days: 30" in owner("workspace", "settings", "team", "--longest-token-days", "30").stdout
    assert "--force" in owner("workspace", "delete", "team", status=1).stderr
    owner("workspace", "remove", "team", "gus")
    assert "team" not in guest("workspace", "list").stdout
    owner("workspace", "delete", "team", "--force")


def test_a_token_is_bound_to_its_workspace_and_says_so(person: Callable[[str], Run]) -> None:
    run = joined(person, "wanda")
    run("workspace", "create", "lab")
    assert "pkgctl login --workspace lab" in run("list", "-w", "lab", status=1).stderr
    run("login", "wanda", "--password-stdin", "-w", "lab", text=PASSWORD)
    assert "workspace:  lab\n" in run("whoami").stdout
    assert "role:       owner\n" in run("whoami").stdout


def test_an_existing_token_is_taken_up(person: Callable[[str], Run]) -> None:
    token = joined(person, "tom")("token", "create", "--name", "other").stdout
    run = person("elsewhere")
    run("login", "--token", text=token)
    assert "user:       tom\n" in run("whoami").stdout
    assert "was revoked" in run("logout").stdout


def test_a_token_may_be_limited_to_addresses(person: Callable[[str], Run]) -> None:
    run = joined(person, "ipa")
    number = json.loads(run("whoami", "--json").stdout)["credential"]["id"]
    run("token", "allowed-ips", str(number), "192.0.2.0/24")
    assert "may not be used from" in run("list", status=1).stderr
