"""The commands on workspaces, their members and settings: `pkgctl workspace …`. Which one a command acts in is --workspace's business."""

from typing import Annotated
from urllib.parse import quote

import typer

from . import prompts
from .errors import Refused
from .listing import All, Limit, read_list
from .server import Answer
from .session import Session, bare, command

app = typer.Typer(help="Make workspaces and say who works in them; alone, list them.")

_ROLES = "viewer, developer, maintainer or owner"

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the workspace.")]
User = Annotated[str, typer.Argument(metavar="USER", help="The user name.")]
Role = Annotated[str, typer.Option("--role", metavar="ROLE", help=f"What they may do: {_ROLES}.")]
Description = Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")]


@bare(app)
def list_first(session: Session) -> None:
    """Make workspaces and say who works in them; alone, list them."""
    _list(session, None, everything=False)


@command(app, "list")
def list_workspaces(session: Session, limit: Limit = None, everything: All = False) -> None:
    """List the workspaces that you are a member of."""
    _list(session, limit, everything=everything)


@command(app, "create")
def create(session: Session, name: Name, description: Description = None) -> None:
    """Make a workspace; you are its owner."""
    answer = session.server.post("/workspaces", {"name": name} | ({} if description is None else {"description": description}))
    if not session.document(answer):
        session.screen.success(f"Created the workspace {answer.record.get('name')}")
        session.screen.note(f"Work in it: pkgctl login --workspace {name}")


@command(app, "show")
def show(session: Session, name: Name) -> None:
    """Show one workspace and your role in it."""
    _fields(session, session.server.get(_path(name)))


@command(app, "delete")
def delete(
    session: Session,
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Even with packages in it, which go too.")] = False,
) -> None:
    """Delete a workspace that is empty."""
    try:
        answer = session.server.delete(_path(name), {"force": "true"} if force else None)
    except Refused as refused:
        if refused.code == "workspace_not_empty":
            refused.hint = f"delete what is in it first, or take all along: pkgctl workspace delete {name} --force"
        raise
    if not session.document(answer):
        session.screen.success(f"Deleted the workspace {name}")


@command(app, "members")
def members(session: Session, name: Name, limit: Limit = None, everything: All = False) -> None:
    """List who works in a workspace."""
    found = read_list(session, f"{_path(name)}/members", {"limit": limit}, everything=everything)
    if found is not None:
        session.screen.table(("USER", "ROLE", "SINCE"), ([member.get(key) for key in ("username", "role", "since")] for member in found))


@command(app, "add")
def add(session: Session, name: Name, user: User, role: Role) -> None:
    """Make somebody a member, or give a member another role."""
    answer = session.server.put(_path(name, user), {"role": role})
    if not session.document(answer):
        session.screen.success(f"{answer.record.get('username')} is {answer.record.get('role')} in {name}")


@command(app, "remove")
def remove(session: Session, name: Name, user: User) -> None:
    """End a membership; your own is leaving."""
    answer = session.server.delete(_path(name, user))
    if not session.document(answer):
        session.screen.success(f"Removed {user} from {name}")


@command(app, "invite")
def invite(
    session: Session,
    name: Name,
    role: Annotated[str | None, typer.Option(metavar="ROLE", help=f"{_ROLES.capitalize()}; the server's default is developer.")] = None,
    days: Annotated[int | None, typer.Option(metavar="N", min=1, help="How long it can be accepted; the server's default is 7.")] = None,
) -> None:
    """Make an invitation for one person and print its code, this once."""
    given = {"role": role, "expires_in_days": days}
    answer = session.server.post(f"{_path(name)}/invitations", {key: value for key, value in given.items() if value is not None})
    if session.document(answer):
        return
    made = answer.record
    code = made.get("invitation")
    if not isinstance(code, str):
        raise Refused("the server answered without an invitation")
    session.screen.note(f"Invitation into {name} as {made.get('role')}, until {made.get('expires_at')}. It is shown only now:")
    session.screen.say(code)
    session.screen.note("Who gets it runs: pkgctl register --invited; with an account: pkgctl workspace join")


@command(app, "join")
def join(session: Session) -> None:
    """Accept an invitation; its code is asked for, or read from a pipe."""
    code = prompts.secret_or_piped("Invitation")
    session.server.hide(code)
    answer = session.server.post("/users/me/invitations", {"invitation": code})
    if not session.document(answer):
        joined = answer.record
        session.screen.success(f"You are {joined.get('role')} in {joined.get('workspace')}")


@command(app, "settings")
def settings(
    session: Session,
    name: Name,
    description: Description = None,
    longest_token_days: Annotated[int | None, typer.Option(metavar="DAYS", min=1, help="How long new tokens may live.")] = None,
) -> None:
    """Show the settings of a workspace, or change those that are given."""
    given = {"description": description, "longest_token_days": longest_token_days}
    wanted = {key: value for key, value in given.items() if value is not None}
    path = f"{_path(name)}/settings"
    _fields(session, session.server.put(path, wanted) if wanted else session.server.get(path))


def _list(session: Session, limit: int | None, *, everything: bool) -> None:
    found = read_list(session, "/workspaces", {"limit": limit}, everything=everything)
    if found is not None:
        columns = ("name", "role", "description", "created_at")
        session.screen.table(("NAME", "ROLE", "DESCRIPTION", "CREATED"), ([entry.get(column) for column in columns] for entry in found))


def _fields(session: Session, answer: Answer) -> None:
    if not session.document(answer):
        session.screen.fields({key.replace("_", " "): value for key, value in answer.record.items() if key != "id"})


def _path(name: str, user: str | None = None) -> str:
    path = f"/workspaces/{quote(name, safe='')}"
    return path if user is None else f"{path}/members/{quote(user, safe='')}"
