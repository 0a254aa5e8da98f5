"""Access tokens of sessions: what is accepted, and that nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from example.errors import TokenExpired, TokenInvalid, TokenMalformed
from example.identity import access_tokens
from example.identity.keys import derive_keys

KEY, OTHER = derive_keys("a" * 40).sessions[0], derive_keys("b" * 40).sessions[0]


def issue(key: bytes = KEY, ago: timedelta = timedelta()) -> str:
    return access_tokens.issue(key, sid="abc123", user_id=7, moment=datetime.now(UTC) - ago)[0]


def forge(key: Any = KEY, algorithm: str = "HS256", typ: str = access_tokens.TYPE, **claims: Any) -> str:
    good = jwt.decode(issue(), KEY, algorithms=["HS256"], audience="package-master")
    changed = {name: value for name, value in (good | claims).items() if value is not None}
    return jwt.encode(changed, key, algorithm, headers={"typ": typ})


def test_a_token_says_whose_session_it_is_and_nothing_of_rights() -> None:
    claims = access_tokens.read([KEY], issue())
    assert (claims.sid, claims.user_id) == ("abc123", 7)
    assert set(jwt.decode(issue(), options={"verify_signature": False})) == {"iss", "aud", "exp", "iat", "sub", "sid", "jti"}


def test_a_token_under_the_previous_key_is_accepted_during_a_rotation() -> None:
    assert access_tokens.read([OTHER, KEY], issue()).user_id == 7


def test_a_token_under_another_key_is_invalid() -> None:
    with pytest.raises(TokenInvalid):
        access_tokens.read([OTHER], issue())


def test_a_token_lives_a_quarter_of_an_hour() -> None:
    access_tokens.read([KEY], issue(ago=timedelta(minutes=14)))
    with pytest.raises(TokenExpired):
        access_tokens.read([KEY], issue(ago=timedelta(minutes=16)))


def test_that_a_token_has_expired_is_said_only_to_who_has_a_real_one() -> None:
    with pytest.raises(TokenInvalid):
        access_tokens.read([OTHER], issue(ago=timedelta(minutes=16)))


@pytest.mark.parametrize("missing", ["iss", "aud", "exp", "iat", "sub", "sid", "jti"])
def test_a_token_without_a_claim_is_none(missing: str) -> None:
    with pytest.raises(TokenMalformed):
        access_tokens.read([KEY], forge(**dict[str, Any]({missing: None})))


@pytest.mark.parametrize(
    "text",
    [
        forge(key=None, algorithm="none"),
        forge(algorithm="HS512"),
        forge(typ="JWT"),
        forge(aud="elsewhere"),
        forge(iss="elsewhere"),
        forge(sub="root"),
        forge(jti="x" * 2000),
    ],
    ids=["no algorithm", "another algorithm", "another type", "another audience", "another issuer", "no number", "too long"],
)
def test_a_token_that_was_signed_for_something_else_is_none(text: str) -> None:
    with pytest.raises(TokenMalformed):
        access_tokens.read([KEY], text)


@given(st.integers(0, 10_000), st.characters(codec="ascii"))
def test_a_token_with_any_letter_changed_is_refused(position: int, letter: str) -> None:
    text = issue()
    position %= len(text)
    changed = text[:position] + letter + text[position + 1 :]
    if changed == text:
        return
    try:
        read = access_tokens.read([KEY], changed)
    except (TokenMalformed, TokenInvalid):
        return
    assert (read.sid, read.user_id) == ("abc123", 7), "base64's last letter has bits that say nothing"
