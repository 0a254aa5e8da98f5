"""Requests against the revocation of their token, and many regenerations at once, on two processes."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from http.client import HTTPConnection

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from example.identity import accounts
from example.identity.issuing import IssuedToken, TokenRequest, issue_first
from example.identity.keys import load_keys
from example.identity.scopes import Scope
from example.models import Workspace
from tests.authorisation.conftest import Pair, Person
from tests.service import API, Service, expect

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]  # what counts here is speed
RACES = {"sqlite": 1000, "postgresql": 200}
LANES = 4
"""Races at once."""
LONGEST_PAUSE = 0.01
"""Seconds between two requests of a thread: with none, they only wait for each other, and the revocation for them."""
REGENERATIONS = 50


@dataclass
class Race:
    """One token, those who use it, and who revokes it. Moments are ``time.perf_counter`` of this process, where all threads are."""

    token: IssuedToken
    start: threading.Barrier
    revoked: threading.Event = field(default_factory=threading.Event)
    answered_at: float = 0.0
    seen: list[tuple[float, int]] = field(default_factory=list)

    def ask(self, connection: HTTPConnection) -> None:
        """Use the token, until one request has begun after the revocation was answered."""
        self.start.wait()
        headers, last = {"Authorization": f"Bearer {self.token.secret.text}"}, False
        while not last:
            last = self.revoked.is_set()
            begun = time.perf_counter()
            connection.request("GET", f"{API}/packages?limit=1", headers=headers)
            answer = connection.getresponse()
            answer.read()
            self.seen.append((begun, answer.status))
            time.sleep(random.uniform(0, LONGEST_PAUSE))

    def revoke(self, connection: HTTPConnection, session: str) -> None:
        """Revoke the token, and note when the answer is there."""
        self.start.wait()
        connection.request("DELETE", f"{API}/tokens/{self.token.token.id}", headers={"Authorization": f"Bearer {session}"})
        answer = connection.getresponse()
        answer.read()
        self.answered_at = time.perf_counter()
        assert answer.status == 200
        self.revoked.set()


def many_tokens(pair: Pair, person: Person, count: int) -> list[IssuedToken]:
    """Tokens of somebody, in one transaction."""
    pepper, request = load_keys(pair.one.settings).tokens[0], TokenRequest(scopes=(Scope.PACKAGES_READ,))

    def make(session: Session) -> list[IssuedToken]:
        user_id, workspace_id = accounts.find(session, person.name).id, session.scalars(select(Workspace.id).order_by(Workspace.id)).first()
        assert workspace_id is not None
        return [issue_first(session, pepper, workspace_id=workspace_id, user_id=user_id, request=request) for _ in range(count)]

    return pair.database.transact(make)


def connection_to(service: Service) -> HTTPConnection:
    """A kept connection: cheaper than httpx, and a thousand races are many requests."""
    url = httpx.URL(service.http.base_url)
    return HTTPConnection(url.host, url.port, timeout=60)


def run(pair: Pair, session: str, made: list[IssuedToken]) -> Counter[int]:
    """One race after the other, each with two who ask, one a process; answers the statuses that they saw."""
    statuses = Counter[int]()
    with ExitStack() as open_ones, ThreadPoolExecutor(3) as threads:
        *asking, revoking = [open_ones.enter_context(closing(connection_to(service))) for service in (pair.one, pair.two, pair.one)]
        for token in made:
            race = Race(token, threading.Barrier(len(asking) + 1))
            running = [threads.submit(race.ask, connection) for connection in asking]
            for one in [*running, threads.submit(race.revoke, revoking, session)]:
                one.result()
            late = [status for begun, status in race.seen if begun > race.answered_at]
            assert len(late) >= len(asking) and set(late) == {401}, f"token {token.token.id}: {Counter(late)} after it was revoked"
            statuses.update(status for _, status in race.seen)
    return statuses


def test_no_request_is_allowed_that_began_after_the_revocation_was_answered(pair: Pair) -> None:
    races = RACES[pair.database.url.get_backend_name()]
    person = pair.person()
    made = many_tokens(pair, person, races)
    with ThreadPoolExecutor(LANES) as lanes:
        statuses = sum(lanes.map(lambda lane: run(pair, person.session, made[lane::LANES]), range(LANES)), Counter[int]())
    print(f"\n{races} races of requests against revoke: {statuses[200]} allowed before, {statuses[401]} refused")
    assert set(statuses) == {200, 401}
    assert statuses[200] >= races, "too few came before the revocation for this to be a race"


def at_once(requests: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    """All of them, begun at the same moment."""
    start = threading.Barrier(len(requests))

    def run(request: Callable[[], httpx.Response]) -> httpx.Response:
        start.wait()
        return request()

    with ThreadPoolExecutor(len(requests)) as threads:
        return list(threads.map(run, requests))


@pytest.mark.parametrize("with_itself", [False, True], ids=["by a session", "by the token itself"])
def test_of_fifty_regenerations_of_a_token_at_once_one_gives_a_secret_and_only_that_one_lives(pair: Pair, with_itself: bool) -> None:
    person = pair.person()
    old = pair.token(person, "default")
    headers = person.headers(token=old["token"]) if with_itself else person.headers()
    clients = [httpx.Client(base_url=(pair.one, pair.two)[number % 2].http.base_url, timeout=60) for number in range(REGENERATIONS)]
    for client in clients:
        client.get("/health")

    def regenerate(client: httpx.Client) -> Callable[[], httpx.Response]:
        return lambda: client.post(f"{API}/tokens/{old['id']}/regenerate", headers=headers)

    answers = at_once([regenerate(client) for client in clients])
    for client in clients:
        client.close()
    assert {answer.status_code for answer in answers} <= {200, 409, 401 if with_itself else 409}, Counter(a.status_code for a in answers)
    given = [answer.json()["token"] for answer in answers if answer.status_code == 200]
    assert len(given) == 1
    alive = [token for token in (old["token"], *given) if pair.two.get("/packages", headers=person.headers(token=token)).status_code == 200]
    assert alive == given
    listed = expect(pair.two.get("/tokens", headers=person.headers("default")), 200)
    assert [token["rotated_from"] for token in listed if token["revoked_at"] is None] == [old["id"]]
