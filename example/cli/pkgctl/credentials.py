"""Tokens kept between commands: one file of the user's, one entry per server. Never sent to another server than its own.

The file is born with mode 0600 under a temporary name and renamed into place, so that there is no moment in which another
user can read it and no half-written file after a crash.
"""

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from .errors import Refused


@dataclass(frozen=True)
class Saved:
    """The token kept for one server, and its id there (which tells when it is the one being regenerated or revoked)."""

    token: str = field(repr=False)
    token_id: int | None = None


def location() -> Path:
    """`credentials.json` in the user's config folder (XDG Base Directory: a relative $XDG_CONFIG_HOME doesn't count)."""
    configured = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".config"
    return base / "package-master" / "credentials.json"


def load(url: str) -> Saved | None:
    """What is kept for exactly this server.

    Raises Refused when the file can't be read, isn't ours, or other users can read it.
    """
    entry = _read().get(url)
    if not isinstance(entry, dict) or not isinstance(entry.get("token"), str):
        return None
    return Saved(entry["token"], entry.get("id"))


def save(url: str, saved: Saved) -> Path:
    """Keep a token for this server in place of the one before. Returns the file. Raises Refused when it can't be written."""
    return _write(_read() | {url: {"id": saved.token_id, "token": saved.token}})


def forget(url: str) -> None:
    """Drop what is kept for this server. Raises Refused when the file can't be written."""
    servers = _read()
    if servers.pop(url, None) is not None:
        _write(servers)


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
        raise Refused(f"{path} is not a credentials file", hint=f"delete it and make a new token: rm {path}")
    return servers


def _write(servers: dict[str, object]) -> Path:
    path = location()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
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
        raise Refused(f"cannot save the token in {path}: {error.strerror}") from None
    return path
