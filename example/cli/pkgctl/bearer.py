"""How a request shows who asks: a token that stays the same (RFC 6750). A session's, which changes, is `renewal.py`."""

from collections.abc import Generator

import httpx


class Bearer(httpx.Auth):
    """A token, sent with every request."""

    def __init__(self, token: str) -> None:
        self._token = token

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown, should an answer repeat it."""
        return (self._token,)

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with the token (httpx calls this)."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request
