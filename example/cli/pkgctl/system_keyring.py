"""The system's keyring (Secret Service, KWallet, macOS Keychain, Windows Credential Locker) through the library `keyring`.

Owns whether there is one that works. The library is an extra (`package-master[keyring]`) and is loaded only when it is needed. Asking
it can block, on a prompt that nobody sees or a bus that doesn't answer: so every question has a time limit.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

PATIENCE = 30.0  # seconds: somebody may have to type the keyring's password
SERVICE = "package-master"
SWITCH = "PKGCTL_KEYRING"
_LEAST_PRIORITY = 1  # what the library itself recommends; below are the ones that fail, forget, or write plain text

T = TypeVar("T")


class Unusable(Exception):
    """There is no keyring, or it didn't do what it was asked. The text says why and never holds a secret."""


def read(url: str) -> str | None:
    """What is kept for this server. Raises Unusable."""
    return _in_time(lambda backend: backend.get_password(SERVICE, url))


def write(url: str, secret: str) -> None:
    """Keep a secret for this server, and see that it is there: some keyrings forget in silence. Raises Unusable."""

    def store(backend: "KeyringBackend") -> bool:
        backend.set_password(SERVICE, url, secret)
        return backend.get_password(SERVICE, url) == secret

    if not _in_time(store):
        raise Unusable("the system keyring does not keep what it is given")


def delete(url: str) -> None:
    """Drop what is kept for this server; nothing there is fine. Raises Unusable."""

    def drop(backend: "KeyringBackend") -> None:
        if backend.get_password(SERVICE, url) is not None:
            backend.delete_password(SERVICE, url)

    _in_time(drop)


def _in_time(work: Callable[["KeyringBackend"], T]) -> T:
    if os.environ.get(SWITCH, "").strip().lower() in ("off", "0", "no", "false"):
        raise Unusable(f"{SWITCH} is off")
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work(_backend()))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="keyring", daemon=True).start()  # a daemon: one that hangs doesn't keep the program
    try:
        return future.result(PATIENCE)
    except Unusable:
        raise
    except TimeoutError:
        raise Unusable(f"the system keyring did not answer within {PATIENCE:.0f} s; unlock it, or set {SWITCH}=off") from None
    except Exception as error:
        raise Unusable(f"the system keyring refused ({type(error).__name__})") from None  # its text may hold anything


def _backend() -> "KeyringBackend":
    try:
        import keyring
    except ImportError:
        raise Unusable("the Python package keyring is not installed") from None
    backend = keyring.get_keyring()
    if backend.priority < _LEAST_PRIORITY:
        raise Unusable("there is no keyring service in this session")
    return backend
