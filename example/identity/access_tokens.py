"""The access token of a session: a JWT (RFC 7519) that lives for 15 minutes and says which session it is of, never what it may do."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt

from example.errors import TokenExpired, TokenInvalid, TokenMalformed

LIFETIME = timedelta(minutes=15)
ALGORITHM = "HS256"
TYPE = "pm-access+jwt"
ISSUER = AUDIENCE = "package-master"
CLAIMS = ["iss", "aud", "exp", "iat", "sub", "sid", "jti"]
LONGEST = 1024


@dataclass(frozen=True)
class Claims:
    """What a verified access token says: the session's ``sid``, whose it is, and until when."""

    sid: str
    user_id: int
    expires_at: datetime


def issue(key: bytes, *, sid: str, user_id: int, moment: datetime) -> tuple[str, datetime]:
    """A new access token of a session, and when it ends."""
    expires_at = moment + LIFETIME
    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "iat": int(moment.timestamp()), "exp": int(expires_at.timestamp()),
        "sub": str(user_id), "sid": sid, "jti": secrets.token_hex(8),
    }  # fmt: skip
    return jwt.encode(claims, key, ALGORITHM, headers={"typ": TYPE}), expires_at.replace(microsecond=0)


def looks_like_one(text: str) -> bool:
    """Whether ``text`` is meant as a JWT: three parts, the first a JSON object in base64."""
    return text.startswith("eyJ") and text.count(".") == 2


def read(keys: Sequence[bytes], text: str) -> Claims:
    """What ``text`` says, verified under any of ``keys``.

    Raises:
        TokenMalformed: it is no access token of this service.
        TokenInvalid: signed under another key.
        TokenExpired: it was right, and its time is over.
    """
    if len(text) > LONGEST:
        raise TokenMalformed("this is too long for an access token of this service")
    for key in keys:
        try:
            decoded = jwt.decode_complete(text, key, algorithms=[ALGORITHM], issuer=ISSUER, audience=AUDIENCE, options={"require": CLAIMS})
        except jwt.InvalidSignatureError:
            continue
        except jwt.ExpiredSignatureError:
            raise TokenExpired("the session's access token has expired; get a new one with POST /api/v1/auth/refresh") from None
        except jwt.InvalidTokenError as error:
            raise TokenMalformed(f"this is not an access token of this service: {error}") from None
        claims = decoded["payload"]
        if decoded["header"].get("typ") != TYPE or not str(claims["sub"]).isdecimal():
            raise TokenMalformed("this is a signed token, and not an access token of this service")
        return Claims(str(claims["sid"]), int(claims["sub"]), datetime.fromtimestamp(claims["exp"], UTC))
    raise TokenInvalid("the access token's signature is wrong: it was never issued here, or SECRET_KEY has changed; log in again")
