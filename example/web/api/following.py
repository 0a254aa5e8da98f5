"""Following a job's log live: as text, and as server-sent events (WHATWG HTML, 9.2)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import orjson
from fastapi import Request
from fastapi.sse import format_sse_event
from sqlalchemy.orm import Session

from example.lifecycle import jobs
from example.lifecycle.job_log import PAGE_CHUNKS, LogChunk, read_log
from example.lifecycle.jobs import JobView
from example.models import Job
from example.web import calls

POLL_SECONDS = 0.2
KEEP_ALIVE_SECONDS = 15.0


async def as_text(request: Request, job_id: int, *, follow: bool) -> AsyncIterator[bytes]:
    """The log's text, from the beginning."""
    async for chunks, _job in _rounds(request, job_id, after=0, follow=follow):
        for chunk in chunks:
            yield chunk.text.encode()


async def as_events(request: Request, job_id: int, *, after: int, follow: bool) -> AsyncIterator[bytes]:
    """``log`` events of whole lines, whose id is the position in the log, ``progress`` when something moved, ``end`` when the job has
    ended.
    """
    shown: JobView | None = None
    last_sent = time.monotonic()
    async for chunks, job in _rounds(request, job_id, after=after, follow=follow):
        for chunk in chunks:
            yield format_sse_event(event="log", data_str=chunk.text.removesuffix("\n"), id=str(chunk.position))
        if job is not None and job != shown:
            yield format_sse_event(event="progress", data_str=_json(job))
        elif not chunks and time.monotonic() - last_sent > KEEP_ALIVE_SECONDS:
            yield format_sse_event(comment="still there")
        else:
            continue
        shown, last_sent = job, time.monotonic()
    if shown is not None and shown.finished_at is not None:
        yield format_sse_event(event="end", data_str=_json(shown))


async def _rounds(request: Request, job_id: int, *, after: int, follow: bool) -> AsyncIterator[tuple[Sequence[LogChunk], JobView | None]]:
    """What is new, round after round: until the end of the log, or of the job. Each round is one short read, so that a follower holds
    nothing.
    """

    def look(session: Session) -> tuple[Sequence[LogChunk], JobView | None]:
        job = session.get(Job, job_id)
        return read_log(session, job_id, after=after), jobs.view(job) if job else None

    while True:
        chunks, job = await calls.follow(request, look)
        yield chunks, job
        after = chunks[-1].position if chunks else after
        if len(chunks) == PAGE_CHUNKS:
            continue
        if not follow or job is None or (job.finished_at is not None and not chunks):
            return
        await asyncio.sleep(POLL_SECONDS)


def _json(job: JobView) -> str:
    return orjson.dumps(job, option=orjson.OPT_UTC_Z).decode()
