"""Operations on jobs: list, show, follow the log, cancel."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from example.identity import access
from example.identity.scopes import Scope
from example.lifecycle import downloads, jobs
from example.lifecycle.jobs import JobView
from example.web import calls
from example.web.api.following import as_events, as_text
from example.web.calls import render
from example.web.documentation import GUARDED, answers
from example.web.parameters import LIST_HEADERS, After, Limit, TaskId, page_headers
from example.web.routing import actor_of, requires, router
from example.web.services import services

routes = router("jobs")
LONGEST_POSITION = 18
"""Digits: positions are 64-bit integers, and Python reads no numbers of thousands of digits."""

EXAMPLE: dict[str, Any] = {
    "id": 1,
    "task_id": "3f1e9a52-6f0e-4f0e-9a52-3f1e9a526f0e",
    "kind": "download",
    "label": "hello 2.1.0",
    "package_id": 1,
    "state": "running",
    "attempts": 1,
    "progress": {"done": 1, "expected": 3, "phase": "building greeter-1.0.0"},
    "error": None,
    "created_at": "2026-11-21T12:00:00Z",
    "started_at": "2026-11-21T12:00:01Z",
    "finished_at": None,
}


@routes.get("/jobs", summary="List jobs", response_model=list[JobView], responses=answers([EXAMPLE], *GUARDED, 422, more=LIST_HEADERS))
@requires(Scope.JOBS_READ)
async def list_jobs(
    request: Request,
    state: Annotated[
        Literal["queued", "running", "succeeded", "failed", "cancelled"] | None, Query(description="Only in this state")
    ] = None,
    limit: Limit = 100,
    after: After = 0,
) -> Response:
    """Oldest first."""
    actor = actor_of(request)
    found, total = await calls.read(
        request, lambda session: (jobs.page(session, actor, state, limit=limit, after=after), jobs.total(session, actor, state))
    )
    last = found[-1].id if found else None
    return render(found, headers=page_headers(request, limit=limit, returned=len(found), last=last, total=total))


@routes.get("/jobs/{task_id}", summary="Show a job", response_model=JobView, responses=answers(EXAMPLE, *GUARDED, 404, 422))
@requires(Scope.JOBS_READ)
async def show_job(request: Request, task_id: TaskId) -> Response:
    """How far it is, and how it ended."""
    actor = actor_of(request)
    return render(await calls.read(request, lambda session: jobs.view(access.job(session, actor, task_id))))


@routes.get(
    "/jobs/{task_id}/log",
    summary="Read or follow a job's log",
    response_class=StreamingResponse,
    responses=answers("building hello\n", *GUARDED, 404, 422, media_type="text/plain"),
)
@requires(Scope.JOBS_READ)
async def job_log(
    request: Request,
    task_id: TaskId,
    follow: Annotated[bool, Query(description="Stay until the job has ended")] = False,
    accept: Annotated[str, Header(include_in_schema=False)] = "text/plain",
    last_event_id: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """As text, or with `Accept: text/event-stream` as server-sent events `log`, `progress` and `end`; `Last-Event-ID` goes on where a
    connection broke off.
    """
    actor = actor_of(request)
    job = await calls.read(request, lambda session: jobs.view(access.job(session, actor, task_id)))
    if "text/event-stream" in accept:
        given = last_event_id or ""
        position = int(given) if given.isascii() and given.isdigit() and len(given) <= LONGEST_POSITION else 0
        return StreamingResponse(
            as_events(request, job.id, after=position, follow=follow), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )
    return StreamingResponse(
        as_text(request, job.id, follow=follow),
        media_type="text/plain; charset=utf-8",
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"},
    )


@routes.post(
    "/jobs/{task_id}/cancel",
    summary="Cancel a job",
    response_model=JobView,
    responses=answers(EXAMPLE | {"state": "cancelled", "error": "cancelled by local"}, *GUARDED, 404, 409, 422),
)
@requires(Scope.JOBS_CANCEL)
async def cancel_job(request: Request, task_id: TaskId) -> Response:
    """Ends it, with every process it has started. Its package becomes `failed` and can be downloaded again."""
    actor, queue = actor_of(request), services(request).core.queue
    shown = await calls.write(request, lambda session: jobs.view(downloads.cancel(session, actor, task_id)))
    await calls.aside(request, lambda: queue.cancel(task_id))
    return render(shown)
