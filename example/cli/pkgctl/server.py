"""The service as seen from here: one method per kind of request. Every answer is either a success or a raised `Refused`."""

import ipaddress
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from example import __version__

from .bearer import Bearer
from .errors import Refused, explain, foreign, unreachable

PATIENCE = 30.0  # seconds without a byte from the server
QUIET_STREAM = 60.0  # a build may be silent for long; then the stream is opened again where it stopped

_SHORTEST_SECRET = 8

Parameters = Mapping[str, str | int | None]


@dataclass(frozen=True)
class Answer:
    """A successful answer: the text as the server sent it, what it means, and the query of the next page."""

    text: str
    data: Any
    next_query: str | None = None
    total: int | None = None

    @property
    def record(self) -> dict[str, Any]:
        """The answer as one object. Raises Refused when it isn't one."""
        if not isinstance(self.data, dict):
            raise Refused("the server answered with something else than an object; is this a Package Master?")
        return self.data

    @property
    def records(self) -> list[dict[str, Any]]:
        """The answer as a list of objects. Raises Refused when it isn't one."""
        if not isinstance(self.data, list) or not all(isinstance(entry, dict) for entry in self.data):
            raise Refused("the server answered with something else than a list; is this a Package Master?")
        return self.data


class Server:
    """One server, the credential for it, and the workspace to act in. Redirects are not followed: the credential goes to `url` and
    nowhere else.
    """

    def __init__(self, url: str, bearer: Bearer | None, workspace: str | None = None) -> None:
        self.url = url
        self._bearer = bearer
        self._hidden: list[str] = []
        headers = {"Accept": "application/json", "User-Agent": f"pkgctl/{__version__}"}
        if workspace:
            headers["X-Workspace"] = workspace
        # A proxy from the environment never stands between a machine and itself, and would see the token.
        self._http = httpx.Client(base_url=f"{url}/api/v1", auth=bearer, headers=headers, timeout=PATIENCE, trust_env=not _is_loopback(url))

    def hide(self, secret: str | None) -> None:
        """Never show this, should an answer repeat it."""
        self._hidden.append(secret or "")

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get(self, path: str, query: Parameters | None = None) -> Answer:
        """Read. Raises Refused."""
        return self._send("GET", path, query=_present(query))

    def post(self, path: str, body: Mapping[str, object] | None = None, *, patience: float | None = None) -> Answer:
        """Change. `patience`: seconds to wait for the answer when it is slow work. Raises Refused."""
        return self._send("POST", path, body=body, patience=patience)

    def put(self, path: str, body: Mapping[str, object]) -> Answer:
        """Replace. Raises Refused."""
        return self._send("PUT", path, body=body)

    def delete(self, path: str, query: Parameters | None = None) -> Answer:
        """Delete. Raises Refused."""
        return self._send("DELETE", path, query=_present(query))

    def pages(self, path: str, query: Parameters) -> Iterator[Answer]:
        """Every page from here on. Only the query of `rel=next` is used, so that no answer can send the token elsewhere."""
        current: Mapping[str, str | int] | str = _present(query)
        while True:
            answer = self._send("GET", path, query=current)
            yield answer
            if answer.next_query is None or answer.next_query == current:
                return
            current = answer.next_query

    @contextmanager
    def stream(self, path: str, *, query: Parameters, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """An answer that is read while it grows. Raises Refused for a refusal, httpx.TransportError for a broken connection."""
        timeout = httpx.Timeout(PATIENCE, read=QUIET_STREAM)
        with self._http.stream("GET", path, params=_present(query), headers=dict(headers), timeout=timeout) as response:
            if not response.is_success:
                response.read()
                raise self._without_secrets(explain(response))
            if not response.headers.get("content-type", "").startswith(headers["Accept"]):
                response.read()
                raise self._without_secrets(foreign(response, "a log"))
            yield response

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | str | None = None,
        body: Mapping[str, object] | None = None,
        patience: float | None = None,
    ) -> Answer:
        timeout = httpx.Timeout(PATIENCE, read=patience or PATIENCE)
        params = httpx.QueryParams(query)
        try:
            response = self._http.request(method, path, params=params, json=body, timeout=timeout)
        except httpx.HTTPError as error:
            raise unreachable(self.url, error) from None
        if not response.is_success:
            raise self._without_secrets(explain(response))
        try:
            data = json.loads(response.text) if response.content else None
        except ValueError:
            raise self._without_secrets(foreign(response)) from None
        following = response.links.get("next", {}).get("url")
        total = response.headers.get("x-total-count", "")
        return Answer(
            text=response.text or "null",  # 204: one valid document all the same
            data=data,
            next_query=httpx.URL(following).query.decode() if following else None,
            total=int(total) if total.isdigit() else None,
        )

    def _without_secrets(self, refused: Refused) -> Refused:
        # A debugging proxy may echo the request. (What is too short to be a secret is part of ordinary words.)
        for secret in (*self._hidden, *(self._bearer.secrets if self._bearer else ())):
            if len(secret) >= _SHORTEST_SECRET:
                refused.message = refused.message.replace(secret, "[secret]")
        return refused


def _present(query: Parameters | None) -> dict[str, str | int]:
    return {name: value for name, value in (query or {}).items() if value is not None}


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
