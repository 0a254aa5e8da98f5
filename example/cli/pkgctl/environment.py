"""The commands on the environment in which Nix packages are live: `pkgctl env …`."""

from typing import Annotated, Any

import typer

from .packages import ACTIVATION_PATIENCE
from .server import Answer
from .session import Session, bare, command

PATH = "/environments/nix/default"

app = typer.Typer(help="Look at what is live and switch back; alone, show what is live.")


@bare(app)
def show_first(session: Session) -> None:
    """Look at what is live and switch back; alone, show what is live."""
    show(session)


@command(app, "show")
def show(session: Session) -> None:
    """Show the path, the generation and the packages that are live."""
    _show(session, session.server.get(PATH))


@command(app, "generations")
def generations(session: Session) -> None:
    """List the generations; any of them can be switched back to."""
    answer = session.server.get(f"{PATH}/generations")
    if not session.document(answer):
        rows = (
            (entry.get("number"), "current" if entry.get("current") else "", entry.get("created_at"), _names(entry))
            for entry in answer.records
        )
        session.screen.table(("GENERATION", "", "CREATED", "PACKAGES"), rows)


@command(app, "rollback")
def rollback(
    session: Session,
    to: Annotated[int | None, typer.Option(metavar="N", min=0, help="The generation to go back to; the one before if not given.")] = None,
) -> None:
    """Go back to an earlier generation."""
    _change(session, "rollback", {} if to is None else {"to": to}, done="Rolled back")


@command(app, "switch")
def switch(session: Session, generation: Annotated[int, typer.Argument(metavar="N", min=0, help="The generation.")]) -> None:
    """Switch to a generation, earlier or later."""
    _change(session, "switch", {"generation": generation}, done="Switched")


def _change(session: Session, verb: str, body: dict[str, int], *, done: str) -> None:
    with session.screen.waiting("Switching"):
        answer = session.server.post(f"{PATH}/{verb}", body, patience=ACTIVATION_PATIENCE)
    if not session.document(answer):
        environment = answer.record
        session.screen.success(f"{done} to generation {environment.get('generation')}: {_names(environment) or 'no packages'}")


def _show(session: Session, answer: Answer) -> None:
    if session.document(answer):
        return
    environment = answer.record
    session.screen.fields(
        {
            "environment": f"{environment.get('source')}/{environment.get('name')}",
            "path": environment.get("path"),
            "generation": environment.get("generation"),
        }
    )
    columns = ("id", "name", "version")
    rows = [[package.get(column) for column in columns] for package in environment.get("packages") or []]
    session.screen.say("packages:" if rows else "packages: none")
    if rows:
        session.screen.table([column.upper() for column in columns], rows)


def _names(owner: dict[str, Any]) -> str:
    return ", ".join(f"{package.get('name')} v{package.get('version')}" for package in owner.get("packages") or [])
