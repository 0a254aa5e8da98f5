"""The commands on background jobs: `pkgctl jobs …`."""

from typing import Annotated, Any
from uuid import UUID

import httpx
import typer

from .errors import unreachable
from .follow import follow, require_success
from .listing import All, Limit, read_list
from .session import Session, bare, command
from .view import read_progress

app = typer.Typer(help="Look at background jobs; alone, list them.")

TaskId = Annotated[UUID, typer.Argument(metavar="TASK", help="The id of the job, as `pkgctl jobs` shows it.")]


@bare(app)
def list_first(session: Session) -> None:
    """Look at background jobs; alone, list them."""
    _list(session, {}, everything=False)


@command(app, "list")
def list_jobs(
    session: Session,
    state: Annotated[str | None, typer.Option(metavar="STATE", help="Only in this state, such as running.")] = None,
    limit: Limit = None,
    everything: All = False,
) -> None:
    """List jobs."""
    _list(session, {"state": state, "limit": limit}, everything=everything)


@command(app, "show")
def show(session: Session, task_id: TaskId) -> None:
    """Show one job."""
    answer = session.server.get(f"/jobs/{task_id}")
    if not session.document(answer):
        job = answer.record
        session.screen.fields(job | {"progress": _progress(job)})


@command(app, "log")
def log(
    session: Session,
    task_id: TaskId,
    following: Annotated[bool, typer.Option("--follow", help="Stay until the job ends; exit 1 if it fails.")] = False,
) -> None:
    """Print the log of a job."""
    if following:
        job = follow(session, str(task_id))
        require_success(job)
        session.screen.note(f"{job.get('label') or 'The job'} succeeded")
    elif session.screen.json:
        raise typer.BadParameter("a log is text; --json goes with --follow, which prints the job as it ended", param_hint="--json")
    else:
        _print_log(session, task_id)


@command(app, "cancel")
def cancel(session: Session, task_id: TaskId) -> None:
    """Stop a job."""
    answer = session.server.post(f"/jobs/{task_id}/cancel")
    if not session.document(answer):
        state = answer.record.get("state")
        session.screen.success(f"Cancelled job {task_id}" if state == "cancelled" else f"Asked job {task_id} to stop; it is {state}")


def _list(session: Session, query: dict[str, str | int | None], *, everything: bool) -> None:
    jobs = read_list(session, "/jobs", query, everything=everything)
    if jobs is not None:
        rows = (
            [job.get("task_id"), job.get("kind"), job.get("label"), job.get("state"), _progress(job), job.get("created_at")] for job in jobs
        )
        session.screen.table(("TASK", "KIND", "LABEL", "STATE", "PROGRESS", "CREATED"), rows)


def _progress(job: dict[str, Any]) -> str:
    phase, done, expected = read_progress(job)
    return f"{phase} {done}/{expected}" if expected else phase


def _print_log(session: Session, task_id: UUID) -> None:
    try:
        with session.server.stream(f"/jobs/{task_id}/log", query={"follow": "false"}, headers={"Accept": "text/plain"}) as response:
            for line in response.iter_lines():
                session.screen.log(line)
    except httpx.TransportError as error:
        raise unreachable(session.server.url, error) from None
