"""Passwords: which are good enough, their Argon2id hashes (RFC 9106), and the two threads that compute these.

Owns no table. A password is normalised (NFC, RFC 8265) before anything else, and no error or log repeats it.
"""

from __future__ import annotations

import asyncio
import os
import threading
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from operator import itemgetter
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from example.errors import Invalid, Unavailable

SHORTEST, LONGEST = 8, 128
WEAKEST_SCORE = 2
"""Of zxcvbn's 0–4: from here on, somebody who guesses at the door (10 times an hour) doesn't get in within years."""
SCORED_CHARACTERS = 32
AT_ONCE = 2
WAITING_AT_MOST = 100
NICENESS = 10

Result = TypeVar("Result")

_hasher = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4, hash_len=32, salt_len=16, type=Type.ID)
_NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$ira6nAV88S+nToWvqwmgvA$VcYoP+dJiYzxe5gAAdIDHgB38a6QiAd9VP1JxU5JPR8"
_scoring = threading.Lock()


def require_good(password: str, *, names: Sequence[str] = (), field: str = "password") -> None:
    """Refuse what is too short, too long, or easily guessed by somebody who knows ``names`` (user name, e-mail address).

    Raises:
        Invalid: of ``field``; says what to do and never repeats the password.
    """
    password = _normal(password)
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(field, f"a password has {SHORTEST} to {LONGEST} characters, and this one has {len(password)}")
    from zxcvbn import zxcvbn  # slow to import: only who sets a password pays

    parts = [part for name in names for part in (name, *name.split("@"))]
    with _scoring:  # it keeps its user inputs in a global
        found = max((zxcvbn(end, parts) for end in _ends(password)), key=itemgetter("score"))
    if found["score"] < WEAKEST_SCORE:
        said = (found["feedback"]["warning"], *found["feedback"]["suggestions"])
        advice = " ".join(text for text in said if text) or "Add another word or two."
        raise Invalid(field, f"this password is too easy to guess. {advice}")


def _ends(password: str) -> set[str]:
    """Its beginning and its end, which are the same of most: scoring takes the cube of the length."""
    return {password[:SCORED_CHARACTERS], password[-SCORED_CHARACTERS:]}


def hashed(password: str) -> str:
    """The Argon2id hash to keep of ``password``: a tenth of a second and 64 MiB."""
    return _hasher.hash(_normal(password))


def matches(password_hash: str | None, password: str) -> bool:
    """Whether ``password`` is that of ``password_hash``. ``None`` (nobody, or no password) costs the same time and is not."""
    try:
        _hasher.verify(password_hash or _NOBODYS, _normal(password))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(password_hash)


async def aside(work: Callable[..., Result], *arguments: object, **named: object) -> Result:
    """Run one of the functions above in a thread of its own, at low priority: a flood of log-ins doesn't stall other requests.

    Raises:
        Unavailable: too many wait already.
    """
    if _threads.waiting >= WAITING_AT_MOST:
        raise Unavailable("too many passwords are being checked at this moment; try again in some seconds")
    _threads.waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads.pool, lambda: work(*arguments, **named))
    finally:
        _threads.waiting -= 1


class _Threads:
    """The threads of this process, begun at the first use, and how many calls they have."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(AT_ONCE, "passwords", initializer=_be_nice)
        self.waiting = 0


def _be_nice() -> None:
    """Linux: this thread only, and those that Argon2 starts from it."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)


_threads = _Threads()
