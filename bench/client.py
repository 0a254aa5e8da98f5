"""A client that costs little itself: one kept connection, JSON in and out."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import Any, Self

API = "/api/v1"
IDLE_SECONDS = 1.0
"""A connection that was silent for longer is opened anew: uvicorn closes idle ones, also those that it could not answer while stopped."""


class Refused(Exception):
    """The service answered with an error; the text says which."""


class Client:
    """One connection to the service at ``port``; without a ``token`` it asks for one."""

    def __init__(self, port: int, token: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._used = time.monotonic()
        self._headers: dict[str, str] = {}
        self.token = token or str(self.call("POST", "/tokens")["token"])
        self._headers = {"Authorization": f"Bearer {self.token}"}

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON.

        Raises:
            Refused: a status of 400 or above.
        """
        return self.exchange(method, path, body)[0]

    def exchange(self, method: str, path: str, body: object = None) -> tuple[Any, dict[str, str]]:
        """The answer's JSON and headers (their names in lower case).

        Raises:
            Refused: a status of 400 or above.
        """
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        if time.monotonic() - self._used > IDLE_SECONDS:
            self._connection.close()  # the next request connects again
        self._connection.request(method, API + path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        text = answer.read()
        self._used = time.monotonic()
        if answer.status >= 400:
            raise Refused(f"{method} {path}: {answer.status} {text.decode(errors='replace')[:500]}")
        return json.loads(text) if text else None, {name.lower(): value for name, value in answer.getheaders()}

    def create(self, name: str, version: str) -> int:
        """A new package's id."""
        return int(self.call("POST", "/packages", {"name": name, "version": version})["id"])

    def count(self, status: str) -> int:
        """How many packages are in ``status``: a point read, however many there are."""
        return int(self.exchange("GET", f"/packages?status={status}&limit=1")[1]["x-total-count"])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def wait_until(holds: Callable[[], bool], *, every: float, seconds: float = 120) -> None:
    """Ask ``holds`` until it does.

    Raises:
        TimeoutError: it never did.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain")
        time.sleep(every)
