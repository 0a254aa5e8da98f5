"""Credentials kept between commands: one file of the user's, one entry per server. Never sent to another server than its own.

The secrets themselves stand in the system's keyring where one works (`system_keyring.py`), and the entry says so; else in the entry.
The file is born with mode 0600 under a temporary name and renamed into place, so that there is no moment in which another user can
read it and no half-written file after a crash. Who changes it holds a lock, so that two commands at once lose nothing.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import system_keyring
from .errors import LOG_IN, Refused
from .locking import locked

KEYRING = "the system keyring"
_SECRETS = ("token", "refresh_token")


@dataclass(frozen=True)
class Saved:
    """What is kept for one server: a token and its id there (which tells when it is the one being regenerated or revoked), or a session.

    Of a session `token` is the access token, `expires_at` its end, and `refresh_token` gets the next one. `by_login`: `pkgctl login`
    made it, so nothing else uses it.
    """

    token: str = field(repr=False)
    token_id: int | None = None
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: str | None = None
    username: str | None = None
    workspace: str | None = None
    by_login: bool = False


def location() -> Path:
    """`credentials.json` in the user's config folder (XDG Base Directory: a relative $XDG_CONFIG_HOME doesn't count)."""
    configured = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".config"
    return base / "package-master" / "credentials.json"


@contextmanager
def exclusive() -> Iterator[None]:
    """Nobody else changes what is kept. Raises Refused when the lock can't be had."""
    with locked(location().with_suffix(".lock")):
        yield


def load(url: str) -> Saved | None:
    """What is kept for exactly this server.

    Raises Refused when the file can't be read, isn't ours, or other users can read it, or the keyring that has the secret can't be used.
    """
    entry = _entry(_read(), url)
    if entry.get("keyring") is True:
        entry |= _from_keyring(url)
    return _parsed(entry)


def place(url: str) -> str:
    """Where the secret for this server is, in words."""
    return KEYRING if _entry(_read(), url).get("keyring") is True else str(location())


def save(url: str, saved: Saved) -> str:
    """Keep a credential for this server in place of the one before; returns where, in words. Raises Refused when it can't be written."""
    with exclusive():
        return keep(url, saved)


def keep(url: str, saved: Saved) -> str:
    """As `save`, for who holds `exclusive` already."""
    servers = _read()
    values = asdict(saved)
    entry = {"id": values.pop("token_id")} | {name: value for name, value in values.items() if value not in (None, False)}
    secrets = {name: entry[name] for name in _SECRETS if name in entry}
    try:
        system_keyring.write(url, json.dumps(secrets))
    except system_keyring.Unusable:
        _write(servers | {url: entry})
        return str(location())
    _write(servers | {url: {name: value for name, value in entry.items() if name not in _SECRETS} | {"keyring": True}})
    return KEYRING


def forget(url: str) -> None:
    """Drop what is kept for this server. Raises Refused when that can't be done."""
    if not location().exists():
        return
    with exclusive():
        servers = _read()
        entry = _entry(servers, url)
        if servers.pop(url, None) is not None:
            _write(servers)
    if entry.get("keyring") is True:
        try:
            system_keyring.delete(url)
        except system_keyring.Unusable as error:
            raise Refused(f"the entry for {url} may still be in {KEYRING}: {error}", hint="remove it with the keyring's program") from None


def _entry(servers: dict[str, object], url: str) -> dict[str, Any]:
    entry = servers.get(url)
    return dict(entry) if isinstance(entry, dict) else {}


def _parsed(entry: dict[str, Any]) -> Saved | None:
    token, refresh = entry.get("token"), entry.get("refresh_token")
    if not isinstance(token, str):
        return None
    words = {name: entry[name] for name in ("expires_at", "username", "workspace") if isinstance(entry.get(name), str)}
    number = entry.get("id")
    return Saved(
        token,
        number if isinstance(number, int) else None,
        refresh if isinstance(refresh, str) else None,
        by_login=entry.get("by_login") is True,
        **words,
    )


def _from_keyring(url: str) -> dict[str, Any]:
    try:
        secret = json.loads(system_keyring.read(url) or "{}")
    except system_keyring.Unusable as error:
        raise Refused(f"the credential for {url} is in {KEYRING}: {error}", hint=f"{LOG_IN}, or set PKGCTL_TOKEN") from None
    except ValueError:
        return {}
    return secret if isinstance(secret, dict) else {}


def _read() -> dict[str, object]:
    path = location()
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise Refused(f"{path} can be read by other users", hint=f"chmod 600 {path}")
            servers = json.load(file)["servers"]
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        servers = None
    if not isinstance(servers, dict):
        raise Refused(f"{path} is not a credentials file", hint=f"delete it and log in again: rm {path}")
    return servers


def _write(servers: dict[str, object]) -> None:
    path = location()
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".credentials-")  # mkstemp: O_EXCL and 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"servers": servers}, file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise Refused(f"cannot save the credential in {path}: {error.strerror}") from None
