"""The instance's key: where SECRET_KEY comes from, and the check that it is the one this database was made with."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from sqlalchemy.orm import Session

from example.config import Settings
from example.db import insert_for
from example.errors import SchemaMismatch
from example.identity.tokens import derive_pepper
from example.models import Instance

CHECK_VALUE = "pepper-check"
KEY_FILE = "secret_key"


def load_pepper(settings: Settings) -> bytes:
    """The pepper of this instance. In development without SECRET_KEY, a random key is kept in ``DATA_DIR/secret_key`` (mode 0600)."""
    if settings.secret_key is not None and settings.secret_key.get_secret_value():
        return derive_pepper(settings.secret_key.get_secret_value())
    return derive_pepper(_development_key(settings.data_dir / KEY_FILE))


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


def check_pepper(session: Session, pepper: bytes) -> None:
    """Compare the key with the one that this database was made with; the first start records it.

    Raises:
        SchemaMismatch: it is another key, with which no token would work.
    """
    value = hmac.new(pepper, b"check", hashlib.sha256).hexdigest()
    insert = insert_for(session)
    session.execute(insert(Instance).values(key=CHECK_VALUE, value=value).on_conflict_do_nothing())
    stored = session.get_one(Instance, CHECK_VALUE).value
    if not hmac.compare_digest(stored, value):
        raise SchemaMismatch(
            "SECRET_KEY is not the one that this database was made with, so no token would work. "
            "Set the old SECRET_KEY (in development: DATA_DIR/secret_key), or reset with: example-init --reset"
        )
