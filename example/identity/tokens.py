"""The token format ``pm_{kind}_{id:12}{secret:32}{crc32:6}`` in base62, its digest and its key. Pure: no database, no clock.

The checksum rejects typos without a look-up; the public id finds the row; the secret (190 bits) is only ever compared as
HMAC-SHA-256 under a pepper that derives from SECRET_KEY.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass

from example.errors import TokenMalformed

KIND = "pat"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_LENGTH, SECRET_LENGTH, CRC_LENGTH = 12, 32, 6
SHOWN_ID_LENGTH = 8
TOKEN_PATTERN = rf"\bpm_{KIND}_[0-9A-Za-z]{{{ID_LENGTH + SECRET_LENGTH + CRC_LENGTH}}}\b"
"""The regular expression for secret scanners."""

_FORMAT = re.compile(rf"pm_(?P<kind>{KIND})_(?P<id>[0-9A-Za-z]{{12}})(?P<secret>[0-9A-Za-z]{{32}})(?P<crc>[0-9A-Za-z]{{6}})")


@dataclass(frozen=True)
class Secret:
    """A token in plain text; neither ``repr`` nor a log shows it."""

    public_id: str
    text: str

    def __repr__(self) -> str:
        return f"Secret({prefix(self.public_id)}…)"


def mint() -> Secret:
    """A new random token."""
    public_id = "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))
    body = f"pm_{KIND}_{public_id}" + "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    return Secret(public_id, body + _checksum(body))


def parse(text: str) -> Secret:
    """Read a token from a header.

    Raises:
        TokenMalformed: wrong form, or the checksum says that characters were lost or changed.
    """
    match = _FORMAT.fullmatch(text)
    if match is None:
        raise TokenMalformed("this is not a token of this service: one looks like pm_pat_… with 50 letters and digits after it")
    if not hmac.compare_digest(_checksum(text[:-CRC_LENGTH]), match["crc"]):
        raise TokenMalformed("the token's checksum is wrong: a character was lost or changed when it was copied")
    return Secret(match["id"], text)


def prefix(public_id: str) -> str:
    """What lists show of a token: enough to recognise it, useless to an attacker."""
    return f"pm_{KIND}_{public_id[:SHOWN_ID_LENGTH]}"


def derive_pepper(secret_key: str) -> bytes:
    """The key of the digests, from SECRET_KEY (one HMAC step, so that other keys can derive from it too)."""
    return hmac.new(secret_key.encode(), b"package-master token pepper v1", hashlib.sha256).digest()


def digest(pepper: bytes, secret: Secret) -> bytes:
    """What the database keeps of a token: HMAC-SHA-256, 32 bytes."""
    return hmac.digest(pepper, secret.text.encode(), "sha256")


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CRC_LENGTH):
        number, rest = divmod(number, len(ALPHABET))
        digits = ALPHABET[rest] + digits
    return digits
