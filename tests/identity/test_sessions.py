"""Sessions: begun, exchanged, stolen, ended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from example.db import Database
from example.errors import TokenExpired, TokenInvalid, TokenMalformed, TokenRevoked
from example.identity import access_tokens, accounts, sessions, tokens
from example.identity.keys import Keys, derive_keys
from example.identity.sessions import Grant, Theft
from example.models import LoginSession, now
from tests.people import add_user


@pytest.fixture
def begun(database: Database, keys: Keys) -> Grant:
    return database.transact(
        lambda session: sessions.start(session, keys, add_user(session, "alice"), address="192.0.2.7", agent="x" * 300)
    )


def refreshed(database: Database, keys: Keys, text: str) -> Grant:
    outcome = database.transact(lambda session: sessions.refresh(session, keys, text))
    assert isinstance(outcome, Grant)
    return outcome


def row(database: Database) -> LoginSession:
    with database.read() as session:
        return session.scalars(select(LoginSession)).one()


def change(database: Database, **values: object) -> None:
    database.transact(lambda session: session.execute(update(LoginSession).values(**values)))


def test_a_session_lives_thirty_days_and_keeps_no_secret(database: Database, keys: Keys, begun: Grant) -> None:
    kept = row(database)
    claims = access_tokens.read(keys.sessions, begun.token)
    assert (claims.sid, claims.user_id) == (kept.sid, begun.user_id)
    assert timedelta(days=29, hours=23) < kept.expires_at - now() <= timedelta(days=30)
    assert kept.address == "192.0.2.7" and kept.agent is not None and len(kept.agent) == 200
    assert begun.refresh_token.encode() not in kept.refresh_digest and begun.token not in repr(begun) and "pm_ref" not in repr(begun)


def test_a_refresh_gives_the_next_tokens_of_the_same_session(database: Database, keys: Keys, begun: Grant) -> None:
    ends = row(database).expires_at
    following = refreshed(database, keys, begun.refresh_token)
    assert following.refresh_token != begun.refresh_token
    assert access_tokens.read(keys.sessions, following.token).sid == row(database).sid
    assert refreshed(database, keys, following.refresh_token).username == "alice"
    assert row(database).expires_at == ends, "refreshing doesn't lengthen it"


@pytest.mark.parametrize("exchanges", [1, 3])
def test_a_used_refresh_token_ends_the_session_however_old_it_is(database: Database, keys: Keys, begun: Grant, exchanges: int) -> None:
    newest = begun
    for _ in range(exchanges):
        newest = refreshed(database, keys, newest.refresh_token)
    outcome = database.transact(lambda session: sessions.refresh(session, keys, begun.refresh_token))
    assert outcome == Theft(begun.user_id, "alice", reused=exchanges == 1)
    assert row(database).ended_at is not None
    with pytest.raises(TokenRevoked, match="log in again"):
        refreshed(database, keys, newest.refresh_token)


def test_of_ten_who_exchange_one_token_at_once_none_keeps_the_session(database: Database, keys: Keys, begun: Grant) -> None:
    def exchange(_: int) -> str:
        try:
            return type(database.transact(lambda session: sessions.refresh(session, keys, begun.refresh_token))).__name__
        except TokenRevoked:
            return "revoked"

    with ThreadPoolExecutor(10) as threads:
        outcomes = sorted(threads.map(exchange, range(10)))
    assert outcomes == ["Grant", "Theft", *["revoked"] * 8]
    assert row(database).ended_at is not None


def test_what_was_never_given_out_is_invalid(database: Database, keys: Keys, begun: Grant) -> None:
    with pytest.raises(TokenInvalid):
        refreshed(database, keys, tokens.mint(tokens.REFRESH).text)
    for text in ("", "pm_ref_", tokens.mint().text, begun.refresh_token[:-1]):
        with pytest.raises(TokenMalformed, match="refresh token"):
            refreshed(database, keys, text)
    assert row(database).ended_at is None


def test_whose_time_is_over_has_expired(database: Database, keys: Keys, begun: Grant) -> None:
    change(database, expires_at=now())
    with pytest.raises(TokenExpired):
        refreshed(database, keys, begun.refresh_token)


def test_an_ended_session_tells_only_who_had_its_tokens(database: Database, keys: Keys, begun: Grant) -> None:
    kept = row(database)
    for _ in range(2):
        database.transact(lambda session: sessions.end(session, kept.id))
    with pytest.raises(TokenRevoked):
        refreshed(database, keys, begun.refresh_token)
    with pytest.raises(TokenInvalid):
        refreshed(database, keys, tokens.mint(tokens.REFRESH, public_id=kept.sid).text)


def test_ending_again_keeps_the_first_moment(database: Database, begun: Grant) -> None:
    database.transact(lambda session: sessions.end(session, row(database).id))
    first = row(database).ended_at
    database.transact(lambda session: sessions.end_all(session, begun.user_id))
    assert row(database).ended_at == first is not None


def test_a_disabled_users_session_is_over(database: Database, keys: Keys, begun: Grant) -> None:
    database.transact(lambda session: accounts.disable(session, accounts.find(session, "alice")))
    change(database, ended_at=None)
    with pytest.raises(TokenRevoked):
        refreshed(database, keys, begun.refresh_token)


def test_a_session_outlives_a_change_of_the_key(database: Database, begun: Grant) -> None:
    both, new = derive_keys("n" * 40, "k" * 40), derive_keys("n" * 40)
    following = refreshed(database, both, begun.refresh_token)
    assert refreshed(database, new, following.refresh_token).user_id == begun.user_id


def test_sessions_that_are_long_over_are_deleted(database: Database, begun: Grant) -> None:
    database.transact(lambda session: sessions.purge(session, now()))
    assert row(database).user_id == begun.user_id
    change(database, ended_at=now() - timedelta(days=2))
    database.transact(lambda session: sessions.purge(session, now() - timedelta(days=1)))
    with database.read() as session:
        assert session.scalars(select(LoginSession)).all() == []
