"""Secrets that are put into every field that takes one, and into some that don't, are nowhere afterwards but as a digest."""

from __future__ import annotations

import base64
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from example.config import Settings
from example.identity import access_tokens, tokens
from example.identity.keys import derive_keys
from example.models import now
from tests.people import Person
from tests.service import API, Service, expect, serving

pytestmark = pytest.mark.slow

NAME = "owner-of-canaries"
FIRST, SECOND, WRONG, MISPLACED = (f"{word} canary 9Zq!" for word in ("first", "second", "wrong", "misplaced"))
KEY, OLD_KEY = "canarykey-kJ8sQm2ZxV0rT5yWc7LbN4dF", "canaryold-h1GpUaE9oXi3sMk6RtB8vY4wT"


@dataclass
class Canaries:
    """The secrets that were sent or given, and every answer that may hold none: all but those that give one for the first time."""

    service: Service
    secrets: set[str] = field(default_factory=lambda: {FIRST, SECOND, WRONG, MISPLACED, KEY, OLD_KEY})
    answers: list[str] = field(default_factory=list)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """A request whose answer may hold no secret."""
        given = {"Authorization": ""} | {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.service.http.request(method, path if path.startswith("/h") else API + path, json=body, headers=given)
        self.answers.append(f"{answer.headers} {answer.text}")
        return answer

    def keep(self, *secrets: str) -> None:
        """Look for these too, and for what is secret of them."""
        self.secrets.update(secrets)
        self.secrets.update(part for text in secrets for part in (text.rpartition(".")[2], text[-38:]) if len(part) > 20)


@pytest.fixture
def served(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"secret_key": SecretStr(KEY), "secret_key_previous": SecretStr(OLD_KEY), "rate_limit_login": "", "log_level": "DEBUG"}
    )


def dump(settings: Settings) -> str:
    """Every row of every table as text; of SQLite also the files, with what was deleted and not overwritten yet."""
    url = settings.sqlalchemy_url
    if url.get_backend_name() == "sqlite":
        path = Path(str(url.database))
        with closing(sqlite3.connect(path)) as file:
            rows = "\n".join(file.iterdump())
        return rows + "".join(one.read_bytes().decode("latin-1") for one in path.parent.glob(f"{path.name}*") if one.is_file())
    plain = make_url(str(settings.database_url)).render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        tables = connection.execute("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname !~ '^(pg_|information)'")
        return "\n".join(row[0] for (table,) in tables.fetchall() for row in connection.execute(f"SELECT t::text FROM {table} t".encode()))


def use_everything(canaries: Canaries) -> None:
    """Each operation that takes or gives a secret, well and badly."""
    service, person = canaries.service, Person(canaries.service, NAME, FIRST)
    account = {"username": NAME, "email": f"{NAME}@example.com", "password": FIRST}
    invitation = expect(service.post("/workspaces/default/invitations", {"role": "viewer"}), 201)["invitation"]
    expect(canaries.send("POST", "/auth/register", account | {"invitation": invitation}), 201)
    canaries.send("POST", "/auth/register", account)
    canaries.send("POST", "/auth/register", account | {"invitation": invitation, "username": "another-one", "email": "b@example.com"})
    canaries.send("POST", "/auth/register", {"username": MISPLACED, "email": MISPLACED, "pasword": MISPLACED, "password": [MISPLACED]})
    for name, password in ((NAME, WRONG), (WRONG, WRONG), (MISPLACED, FIRST), (NAME, FIRST + "x" * 200)):
        canaries.send("POST", "/auth/login", {"username": name, "password": password})
    first = person.log_in()
    second = first.refresh()
    pat = expect(second.post("/tokens", {"name": "canary"}), 201)
    renewed = expect(second.post(f"/tokens/{pat['id']}/regenerate"), 200)["token"]
    secrets = [invitation, service.token, first.token, first.refresh_token, second.token, second.refresh_token, pat["token"], renewed]
    canaries.keep(*secrets)
    use_badly(canaries, second, secrets)
    expect(
        canaries.send("PUT", "/users/me", {"current_password": FIRST, "new_password": SECOND}, Authorization=f"Bearer {second.token}"), 200
    )
    canaries.send("POST", "/auth/refresh", {"refresh_token": first.refresh_token})
    canaries.send("POST", "/auth/logout", None, Authorization=f"Bearer {second.token}")


def use_badly(canaries: Canaries, person: Person, secrets: list[str]) -> None:
    """Secrets where they don't belong, also altered ones and strangers'."""
    key = derive_keys("somebody else's").sessions[0]
    foreign, _ = access_tokens.issue(key, sid="x" * 12, user_id=1, moment=now())
    strangers = [tokens.mint(kind).text for kind in tokens.NAMES]
    canaries.keep(foreign, *strangers)
    for text in [*secrets, *strangers, foreign]:
        basic = base64.b64encode(f"{NAME}:{text}".encode()).decode()
        for authorization in (f"Bearer {text}x", f"Token {text[:-1]}", f"Basic {basic}", f"Digest {text}", text):
            canaries.send("GET", "/users/me", None, Authorization=authorization)
        canaries.send("GET", f"/users/{text[:60]}", None, Authorization=f"Bearer {person.token}")
        canaries.send("GET", f"/packages?name={text}&workspace={text}", None, Authorization=f"Bearer {person.token}", X_Workspace=text)
        canaries.send("GET", f"/health/{text}", None, User_Agent=text, X_Request_Id=text[:60])
        canaries.send("POST", "/auth/refresh", {"refresh_token": text + "x", "extra": text})
        canaries.send("POST", "/users/me/invitations", {"invitation": text[:-1]}, Authorization=f"Bearer {person.token}")
    canaries.send("PUT", "/users/me", {"current_password": WRONG, "new_password": SECOND}, Authorization=f"Bearer {person.token}")
    canaries.send("PUT", "/users/me", {"new_password": MISPLACED, "pasword": MISPLACED}, Authorization=f"Bearer {person.token}")


def test_a_secret_is_nowhere_but_as_a_digest(served: Settings, tmp_path: Path) -> None:
    with serving(served, tmp_path / "server") as (_, service):
        canaries = Canaries(service)
        use_everything(canaries)
    log = (tmp_path / "server" / "server.log").read_text()
    kept = dump(served).lower()
    assert "argon2id" in kept and NAME in kept and "POST" in log, "the test looks at the right places"
    assert len(canaries.secrets) > 20 and len(canaries.answers) > 60
    for secret in canaries.secrets:
        assert secret not in log, f"{secret} is in the log: {[line for line in log.splitlines() if secret in line][:3]}"
        assert secret.lower() not in kept and secret.encode().hex() not in kept, f"{secret} is in the database"
        assert not [answer for answer in canaries.answers if secret in answer], f"{secret} is in an answer"
