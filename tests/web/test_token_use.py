"""What is written down of a token's use, and how fast its end counts."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

import pytest
from sqlalchemy import MetaData, select, update
from sqlalchemy.exc import OperationalError

from example.config import Settings
from example.models import Token, now
from tests.nixstore import eventually
from tests.service import API, Service, expect, expect_problem, in_process
from tests.web.conftest import limited


def last_use(service: Service, token_id: int) -> str | None:
    used: str | None = expect(service.get(f"/tokens/{token_id}"), 200)["last_used_at"]
    return used


def test_the_first_use_of_a_token_is_noted_with_its_address(shared: Service) -> None:
    made = shared.new_token()
    assert made["last_used_at"] is None
    shared.get("/packages", headers=shared.with_token(made["token"]))
    assert eventually(lambda: last_use(shared, made["id"]) is not None)
    assert expect(shared.get(f"/tokens/{made['id']}"), 200)["last_used_ip"] == "127.0.0.1"


def test_a_second_use_within_a_minute_is_not_written(shared: Service) -> None:
    made = shared.new_token()
    headers = shared.with_token(made["token"])
    shared.get("/packages", headers=headers)
    assert eventually(lambda: last_use(shared, made["id"]) is not None)
    first = last_use(shared, made["id"])
    for _ in range(5):
        shared.get("/packages", headers=headers)
    time.sleep(0.1)
    assert last_use(shared, made["id"]) == first


def test_a_use_after_a_minute_is_written_again(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    made = service.new_token()
    headers = service.with_token(made["token"])
    service.get("/packages", headers=headers)
    assert eventually(lambda: last_use(service, made["id"]) is not None)
    long_ago = now() - timedelta(hours=1)
    assert service.services is not None
    service.services.core.database.transact(lambda s: s.execute(update(Token).where(Token.id == made["id"]).values(last_used_at=long_ago)))
    monkeypatch.setattr("example.web.gate.USE_NOTED_EVERY", timedelta(0))
    service.get("/packages", headers=headers)
    assert eventually(lambda: datetime.fromisoformat(last_use(service, made["id"]) or "") > long_ago + timedelta(minutes=1))


def test_a_use_that_cannot_be_noted_does_not_hurt_the_request(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object, **__: object) -> None:
        raise OperationalError("UPDATE tokens", None, Exception("database is locked"))

    monkeypatch.setattr("example.web.gate.record_use", locked)
    expect(service.get("/packages", headers=limited(service, scopes=["packages:read"])), 200)


def test_a_revocation_counts_at_once_in_another_process_too(service: Service, settings: Settings) -> None:
    """Two services on one database, each with its own cache."""
    made = service.new_token()
    headers = service.with_token(made["token"])
    for other in in_process(settings):
        for _ in range(2):
            expect(other.get("/packages", headers=headers), 200)
        expect(service.delete(f"/tokens/{made['id']}"), 200)
        expect_problem(other.get("/packages", headers=headers), 401, "token_revoked")


def test_a_token_that_was_unknown_is_known_once_it_exists(service: Service, settings: Settings) -> None:
    for other in in_process(settings):
        made = other.new_token()
        expect(service.get("/packages", headers=service.with_token(made["token"])), 200)


def test_no_column_of_the_database_holds_a_token(service: Service) -> None:
    given = [service.token, service.new_token(name="x")["token"]]
    regenerated = service.new_token()
    given += [regenerated["token"], expect(service.post(f"/tokens/{regenerated['id']}/regenerate"), 200)["token"]]
    assert service.services is not None
    database, metadata = service.services.core.database, MetaData()
    metadata.reflect(database.engine)
    with database.read() as session:
        text = "\n".join(repr(row) for table in metadata.sorted_tables for row in session.execute(select(table)))
    assert len(text) > 1000, "the search must see rows"
    for token in given:
        secret = token[len("pm_pat_") + 12 : -6]
        assert secret not in text


@pytest.mark.slow
def test_of_twenty_who_regenerate_at_once_one_gets_a_new_token(service: Service) -> None:
    for overlap in (0, 1):
        made = service.new_token(name=f"overlap{overlap}")
        answers: list[int] = []
        live: list[str] = []

        def regenerate(token_id: int = made["id"], hours: int = overlap, answers: list[int] = answers, live: list[str] = live) -> None:
            answer = service.post(f"/tokens/{token_id}/regenerate", {"overlap_hours": hours})
            answers.append(answer.status_code)
            live.extend([answer.json()["token"]] if answer.status_code == 200 else [])

        threads = [threading.Thread(target=regenerate) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [200] + [409] * 19
        assert service.http.get(f"{API}/packages", headers=service.with_token(live[0])).status_code == 200
