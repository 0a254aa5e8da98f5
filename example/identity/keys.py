"""The instance's keys: where SECRET_KEY comes from, what derives from it, and the check that it is the one this database was made with.

Each purpose has a key of its own, by one HMAC step. While SECRET_KEY_PREVIOUS is set there are two of each: the first signs, both verify.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from example.config import Settings
from example.db import insert_for
from example.errors import SchemaMismatch
from example.models import Instance

CHECK_VALUE = "pepper-check"
KEY_FILE = "secret_key"
TOKENS, SESSIONS, AUDIT = b"package-master token pepper v1", b"package-master session key v1", b"package-master audit seal v1"


@dataclass(frozen=True)
class Keys:
    """The derived keys (32 bytes each), those of SECRET_KEY first, those of SECRET_KEY_PREVIOUS after."""

    tokens: tuple[bytes, ...] = field(repr=False)
    sessions: tuple[bytes, ...] = field(repr=False)
    audit: tuple[bytes, ...] = field(repr=False)


def load_keys(settings: Settings) -> Keys:
    """The keys of this instance. In development without SECRET_KEY, a random one is kept in ``DATA_DIR/secret_key`` (mode 0600)."""
    given = settings.secret_key.get_secret_value() if settings.secret_key else ""
    previous = settings.secret_key_previous.get_secret_value() if settings.secret_key_previous else ""
    return derive_keys(given or _development_key(settings.data_dir / KEY_FILE), previous)


def derive_keys(*secret_keys: str) -> Keys:
    """What derives from ``secret_keys``, the present one first; empty ones don't count."""
    used = [key.encode() for key in secret_keys if key]
    tokens, sessions, audit = (tuple(hmac.digest(key, purpose, "sha256") for key in used) for purpose in (TOKENS, SESSIONS, AUDIT))
    return Keys(tokens, sessions, audit)


def _development_key(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(48))
    try:
        os.link(draft, path)  # fails when a sibling process was first: then its key counts
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text(encoding="ascii")


def check_keys(session: Session, keys: Keys) -> None:
    """Compare the key with the one that this database was made with; the first start records it, and a rotation the new one.

    Raises:
        SchemaMismatch: it is another key, with which no token would work.
    """
    values = [hmac.new(pepper, b"check", hashlib.sha256).hexdigest() for pepper in keys.tokens]
    insert = insert_for(session)
    session.execute(insert(Instance).values(key=CHECK_VALUE, value=values[0]).on_conflict_do_nothing())
    stored = session.get_one(Instance, CHECK_VALUE)
    if not any(hmac.compare_digest(stored.value, value) for value in values):
        raise SchemaMismatch(
            "SECRET_KEY is not the one that this database was made with, so no token would work. Set the old SECRET_KEY (in development: "
            "DATA_DIR/secret_key); to rotate, put the old one in SECRET_KEY_PREVIOUS; or reset with: example-init --reset"
        )
    stored.value = values[0]
