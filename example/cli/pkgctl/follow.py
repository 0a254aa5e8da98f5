"""Following a job until it ends, across connections that drop. Owns the reconnecting; how it looks is `view.py`."""

import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote

import httpx

from .errors import Refused, unreachable
from .server import Server
from .session import Session
from .sse import Event, events
from .view import live

_FIRST_WAIT = 1.0  # seconds, unless the server asks for another
_LONGEST_WAIT = 10.0
_ATTEMPTS = 8  # in a row without one event: about a minute, longer than a restart of the server takes
_PASSING = (502, 503, 504)  # what a proxy says while the server restarts


def follow(session: Session, task_id: str) -> dict[str, Any]:
    """Show the live log of a job and return the job as it ended.

    Raises Refused when the server refuses or stays away; a KeyboardInterrupt passes on after a word on how to come back.
    """
    again = f"pkgctl jobs log {task_id} --follow"
    ended: dict[str, Any] = {}
    try:
        with live(session.screen) as view:
            for event in _job_events(session, task_id, again):
                if event.kind == "log":
                    view.log(event.data)
                elif event.kind == "progress":
                    view.progress(_job(event.data))
                elif event.kind == "end":
                    ended = _job(event.data)
                    if session.screen.json:
                        session.screen.document(event.data)
    except KeyboardInterrupt:
        session.screen.note(f"The job goes on without you. Follow it again: {again} (or stop it: pkgctl jobs cancel {task_id})")
        raise
    return ended


def require_success(job: dict[str, Any]) -> None:
    """Raises Refused with the reason when the job failed or was cancelled."""
    state = job.get("state")
    if state != "succeeded":
        reason = f": {job['error']}" if job.get("error") else ""
        raise Refused(f"{job.get('label') or 'the job'} {'was cancelled' if state == 'cancelled' else 'failed'}{reason}")


def _job_events(session: Session, task_id: str, again: str) -> Iterator[Event]:
    """Every event up to `end`, once and in order: a stream that stops before is opened again after the last event that came."""
    last: Event | None = None
    failures = 0
    connected = False
    while last is None or last.kind != "end":
        opened = False
        trouble = "the server closed the stream"
        try:
            with _opened(session.server, task_id, last) as response:
                opened = connected = True
                for event in events(response.iter_text(), last):
                    failures, last = 0, event
                    yield event
        except httpx.TransportError as error:
            if opened and isinstance(error, httpx.ReadTimeout):
                continue  # a quiet build, or a dead connection: opening it again tells which
            if not connected:
                raise unreachable(session.server.url, error) from None
            trouble = unreachable(session.server.url, error).message
        except Refused as refused:
            if not connected or refused.status not in _PASSING:
                raise
            trouble = refused.message
        if last is None or last.kind != "end":
            failures += 1
            _pause(
                session, failures, last, Refused(f"lost the connection: {trouble}", hint=f"the job goes on; follow it again with: {again}")
            )


def _opened(server: Server, task_id: str, last: Event | None) -> AbstractContextManager[httpx.Response]:
    headers = {"Accept": "text/event-stream"}
    if last is not None and last.last_id:
        headers["Last-Event-ID"] = last.last_id
    return server.stream(f"/jobs/{quote(task_id, safe='')}/log", query={"follow": "true"}, headers=headers)


def _pause(session: Session, failures: int, last: Event | None, lost: Refused) -> None:
    """Wait before the next attempt, twice as long each time. Raises `lost` after the last one."""
    if failures > _ATTEMPTS:
        raise lost
    session.screen.note("Connection lost; opening it again…")
    first = last.retry / 1000 if last is not None and last.retry is not None else _FIRST_WAIT
    time.sleep(min(first * 2 ** (failures - 1), _LONGEST_WAIT))


def _job(data: str) -> dict[str, Any]:
    try:
        job = json.loads(data)
    except ValueError:
        job = None
    if not isinstance(job, dict):
        raise Refused("the server sent an event that can't be read")
    return job
