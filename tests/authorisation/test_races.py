"""Requests against the revocation of their token, and many regenerations at once, on two processes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest

from tests.authorisation.conftest import Pair
from tests.service import API, Service, expect

pytestmark = pytest.mark.slow
RACES = {"sqlite": 1000, "postgresql": 200}
ASKING_AT_ONCE = 2
"""Threads a process."""
REGENERATIONS = 50


@dataclass
class Race:
    """One token, those who use it, and who revokes it. Moments are ``time.perf_counter`` of this process, where all threads are."""

    token: dict[str, Any]
    start: threading.Barrier
    revoked: threading.Event = field(default_factory=threading.Event)
    answered_at: float = 0.0
    seen: list[tuple[float, int]] = field(default_factory=list)

    def ask(self, connection: HTTPConnection) -> None:
        """Use the token, until one request has begun after the revocation was answered."""
        self.start.wait()
        headers, last = {"Authorization": f"Bearer {self.token['token']}"}, False
        while not last:
            last = self.revoked.is_set()
            begun = time.perf_counter()
            connection.request("GET", f"{API}/packages?limit=1", headers=headers)
            answer = connection.getresponse()
            answer.read()
            self.seen.append((begun, answer.status))

    def revoke(self, connection: HTTPConnection, session: str) -> None:
        """Revoke the token, and note when the answer is there."""
        self.start.wait()
        connection.request("DELETE", f"{API}/tokens/{self.token['id']}", headers={"Authorization": f"Bearer {session}"})
        answer = connection.getresponse()
        answer.read()
        self.answered_at = time.perf_counter()
        assert answer.status == 200
        self.revoked.set()


def connection_to(service: Service) -> HTTPConnection:
    """A kept connection: cheaper than httpx, and a thousand races are many requests."""
    url = httpx.URL(service.http.base_url)
    return HTTPConnection(url.host, url.port, timeout=60)


def test_no_request_is_allowed_that_began_after_the_revocation_was_answered(pair: Pair) -> None:
    races = RACES[pair.database.url.get_backend_name()]
    person = pair.person()
    asking = [connection_to(service) for service in (pair.one, pair.two) for _ in range(ASKING_AT_ONCE)]
    revoking = connection_to(pair.one)
    statuses: Counter[int] = Counter()
    with ThreadPoolExecutor(len(asking) + 1) as threads:
        for number in range(races):
            race = Race(pair.token(person, "default"), threading.Barrier(len(asking) + 1))
            running = [threads.submit(race.ask, connection) for connection in asking]
            running.append(threads.submit(race.revoke, revoking, person.session))
            for one in running:
                one.result()
            late = [status for begun, status in race.seen if begun > race.answered_at]
            assert len(late) >= len(asking) and set(late) == {401}, f"race {number}: {Counter(late)} after the revocation's answer"
            statuses.update(status for _, status in race.seen)
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
