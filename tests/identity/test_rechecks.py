"""What a change asks again in its own transaction: the headers may have come long before the body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from example.db import Database
from example.errors import Forbidden, NotFound, TokenExpired, TokenInvalid, TokenRevoked
from example.identity import access_tokens, accounts, sessions
from example.identity.actor import Actor
from example.identity.credentials import find_session, find_token, require_still, verify, verify_session
from example.identity.issuing import TokenRequest, issue_first
from example.identity.keys import Keys
from example.identity.roles import Role
from example.models import LoginSession, Member, Token, User, now
from tests.people import add_user


@pytest.fixture(params=["token", "session"])
def actor(request: pytest.FixtureRequest, database: Database, keys: Keys) -> Actor:
    """A developer whose request is under way."""

    def begin(session: Session) -> Actor:
        user = add_user(session, "alice", role=Role.DEVELOPER)
        if request.param == "session":
            grant = sessions.start(session, keys, user, address=None, agent=None)
            record: Any = find_session(session, grant.refresh_token[7:19], "default")
        else:
            issued = issue_first(session, keys.tokens[0], workspace_id=1, user_id=user.id, request=TokenRequest())
            record = find_token(session, issued.secret.public_id)
        found: Actor = record.actor
        return found

    return database.transact(begin)


def test_what_has_not_changed_goes_on(database: Database, actor: Actor) -> None:
    database.transact(lambda session: require_still(session, actor))


CHANGES: dict[str, tuple[Callable[[Session], object], type[Exception]]] = {
    "revoked": (
        lambda s: (s.execute(update(Token).values(revoked_at=now())), s.execute(update(LoginSession).values(ended_at=now()))),
        TokenRevoked,
    ),
    "disabled": (lambda s: accounts.disable(s, accounts.find(s, "alice")), TokenRevoked),
    "demoted": (lambda s: s.execute(update(Member).values(role="viewer")), Forbidden),
    "removed": (lambda s: s.query(Member).delete(), Forbidden),
    "made an administrator": (lambda s: s.execute(update(User).values(is_admin=True)), Forbidden),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_taken_meanwhile_counts(database: Database, actor: Actor, change: str) -> None:
    happens, refusal = CHANGES[change]
    database.transact(happens)
    with pytest.raises(refusal):
        database.transact(lambda session: require_still(session, actor))


def claims_of(grant: sessions.Grant, keys: Keys) -> access_tokens.Claims:
    return access_tokens.read(keys.sessions, grant.token)


@pytest.fixture
def grant(database: Database, keys: Keys) -> sessions.Grant:
    return database.transact(lambda session: sessions.start(session, keys, add_user(session, "bob"), address=None, agent=None))


def test_a_session_that_is_not_there_proves_nobody(database: Database, keys: Keys, grant: sessions.Grant) -> None:
    with database.read() as session:
        assert find_session(session, "nowhere", "default") is None
    with pytest.raises(TokenInvalid):
        verify_session(None, claims_of(grant, keys), workspace=None, moment=now())


def test_a_session_that_has_expired_proves_nobody(database: Database, keys: Keys, grant: sessions.Grant) -> None:
    claims = claims_of(grant, keys)
    with database.read() as session:
        record = find_session(session, claims.sid, "default")
    with pytest.raises(TokenExpired):
        verify_session(record, claims, workspace=None, moment=now() + sessions.LIFETIME)


def test_a_token_whose_owner_has_left_sees_no_workspace_that_it_names(database: Database, keys: Keys) -> None:
    def begin(session: Session) -> tuple[Any, Any]:
        user = add_user(session, "carol")
        issued = issue_first(session, keys.tokens[0], workspace_id=1, user_id=user.id, request=TokenRequest())
        return find_token(session, issued.secret.public_id), issued.secret

    record, secret = database.transact(begin)
    with pytest.raises(NotFound):
        verify(record, secret, peppers=keys.tokens, workspace="default", address=None, moment=now())
