"""The token format ``pm_{kind}_{id:12}{secret:32}{crc32:6}`` in base62, its digest and its kinds. Pure: no database, no clock.

The checksum rejects typos without a look-up; the public id finds the row; the secret (190 bits) is only ever compared as
HMAC-SHA-256 under a pepper that derives from SECRET_KEY (keys.py).
"""

from __future__ import annotations

import hmac
import re
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from example.errors import TokenMalformed

KIND = "pat"
REFRESH, INVITATION = "ref", "inv"
NAMES = {KIND: "token", REFRESH: "refresh token", INVITATION: "invitation"}
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_LENGTH, SECRET_LENGTH, CRC_LENGTH = 12, 32, 6
SHOWN_ID_LENGTH = 8
TOKEN_PATTERN = rf"\bpm_({'|'.join(NAMES)})_[0-9A-Za-z]{{{ID_LENGTH + SECRET_LENGTH + CRC_LENGTH}}}\b"
"""The regular expression for secret scanners."""

_FORMAT = re.compile(rf"pm_(?P<kind>{'|'.join(NAMES)})_(?P<id>[0-9A-Za-z]{{12}})(?P<secret>[0-9A-Za-z]{{32}})(?P<crc>[0-9A-Za-z]{{6}})")


@dataclass(frozen=True)
class Secret:
    """A token in plain text; neither ``repr`` nor a log shows it."""

    public_id: str
    text: str

    def __repr__(self) -> str:
        return f"Secret({self.text[: len('pm_pat_') + SHOWN_ID_LENGTH]}…)"


def mint(kind: str = KIND, *, public_id: str | None = None) -> Secret:
    """A new random token; with ``public_id`` another one for the same row."""
    public_id = public_id or "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))
    body = f"pm_{kind}_{public_id}" + "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    return Secret(public_id, body + _checksum(body))


def parse(text: str, kind: str = KIND) -> Secret:
    """Read a token of this kind as a client sent it.

    Raises:
        TokenMalformed: wrong form or kind, or the checksum says that characters were lost or changed.
    """
    match, name = _FORMAT.fullmatch(text), NAMES[kind]
    if match is None or match["kind"] != kind:
        also = f"this is a {NAMES[match['kind']]}, not a {name}" if match else f"this is not a {name} of this service"
        raise TokenMalformed(f"{also}: one looks like pm_{kind}_… with 50 letters and digits after it")
    if not hmac.compare_digest(_checksum(text[:-CRC_LENGTH]), match["crc"]):
        raise TokenMalformed(f"the {name}'s checksum is wrong: a character was lost or changed when it was copied")
    return Secret(match["id"], text)


def prefix(public_id: str) -> str:
    """What lists show of a token: enough to recognise it, useless to an attacker."""
    return f"pm_{KIND}_{public_id[:SHOWN_ID_LENGTH]}"


def digest(pepper: bytes, secret: Secret) -> bytes:
    """What the database keeps of a token: HMAC-SHA-256, 32 bytes."""
    return hmac.digest(pepper, secret.text.encode(), "sha256")


def is_digest(expected: bytes | None, peppers: Sequence[bytes], secret: Secret) -> bool:
    """Whether ``expected`` is the digest of ``secret`` under any of ``peppers``, in constant time; ``None`` costs the same and is not."""
    matching = [hmac.compare_digest(expected or b"\0" * 32, digest(pepper, secret)) for pepper in peppers]
    return expected is not None and any(matching)


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CRC_LENGTH):
        number, rest = divmod(number, len(ALPHABET))
        digits = ALPHABET[rest] + digits
    return digits
