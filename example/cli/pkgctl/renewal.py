"""A session: its access token lives for minutes, and a refresh token, which changes at each use, gets the next one.

Two commands that refresh at once would show the server the same refresh token twice, which ends the session as stolen. So refreshing
happens under the lock of the credentials file, and who waited for it takes what the other has got. The new refresh token is kept
before anything else is done with the answer.
"""

from collections.abc import Generator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx

from . import credentials
from .bearer import Bearer
from .credentials import Saved
from .errors import LOG_IN, Refused, code_of
from .server import Server

MARGIN = timedelta(seconds=30)  # what is about to end is renewed: the request takes time, and clocks differ


class Renewing(Bearer):
    """The session that is kept for one server, renewed when it has to be."""

    def __init__(self, url: str, saved: Saved) -> None:
        super().__init__(saved.token)
        self._url = url
        self._saved = saved

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown, should an answer repeat it."""
        return (self._saved.token, self._saved.refresh_token or "")

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request, with a new access token when the old one is over by our clock or by the server's. Raises Refused."""
        if _is_over(self._saved.expires_at):
            self._renew()
        request.headers["Authorization"] = f"Bearer {self._saved.token}"
        response = yield request
        if response.status_code == 401:
            response.read()
            if code_of(response) == "token_expired":
                self._renew()
                request.headers["Authorization"] = f"Bearer {self._saved.token}"
                yield request

    def _renew(self) -> None:
        with credentials.exclusive():
            kept = credentials.load(self._url)
            if kept is None or kept.refresh_token is None:
                raise Refused("the session was logged out meanwhile", hint=LOG_IN)
            if kept.token == self._saved.token:
                kept = _refreshed(self._url, kept)
                credentials.keep(self._url, kept)
        self._saved = kept


def _refreshed(url: str, kept: Saved) -> Saved:
    server = Server(url, None)
    try:
        server.hide(kept.refresh_token)
        record = server.post("/auth/refresh", {"refresh_token": kept.refresh_token}).record
    finally:
        server.close()
    return granted(record, kept)


def granted(record: Mapping[str, object], before: Saved) -> Saved:
    """The session as an answer to a log-in or a refresh gives it. Raises Refused when the answer holds none."""
    token, refresh_token, expires_at = (record.get(name) for name in ("token", "refresh_token", "expires_at"))
    if not isinstance(token, str) or not isinstance(refresh_token, str) or not isinstance(expires_at, str):
        raise Refused("the server answered without a session; is this a Package Master?")
    return replace(before, token=token, refresh_token=refresh_token, expires_at=expires_at)


def _is_over(expires_at: str | None) -> bool:
    try:
        return datetime.fromisoformat(expires_at or "") - MARGIN <= datetime.now(UTC)
    except (ValueError, TypeError):  # no time, or one without a zone: the server will say
        return False
