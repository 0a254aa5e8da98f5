"""The commands on packages: from `create` to `delete`."""

import shlex
from typing import Annotated, Any

import typer

from .errors import Refused
from .follow import follow, require_success
from .listing import All, Limit, read_list
from .session import Session, command

ACTIVATION_PATIENCE = 300.0  # seconds: the server builds the new generation, then runs the health check

PackageId = Annotated[int, typer.Argument(metavar="ID", min=1, help="The number of the package, as `pkgctl list` shows it.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`, in the order in which they are used."""
    for name, function in (("create", create), ("list", list_packages), ("show", show), ("download", download)):
        command(app, name)(function)
    for name, function in (("activate", activate), ("deactivate", deactivate), ("delete", delete)):
        command(app, name)(function)


def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name, such as hello.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version, such as 2.12.1.")],
    source: Annotated[str | None, typer.Option(metavar="SOURCE", help="Where it comes from; the server's default is nix.")] = None,
) -> None:
    """Register a package, so that it can be downloaded."""
    body = {"name": name, "version": version} | ({"source": source} if source else {})
    answer = session.server.post("/packages", body)
    if not session.document(answer):
        package = answer.record
        session.screen.success(f"Created {_named(package)} as package {package.get('id')}")


def list_packages(
    session: Session,
    source: Annotated[str | None, typer.Option(metavar="SOURCE", help="Only from this source.")] = None,
    status: Annotated[str | None, typer.Option(metavar="STATUS", help="Only in this status.")] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this name.")] = None,
    limit: Limit = None,
    everything: All = False,
) -> None:
    """List packages."""
    query = {"source": source, "status": status, "name": name, "limit": limit}
    packages = read_list(session, "/packages", query, everything=everything)
    if packages is not None:
        columns = ("id", "name", "version", "source", "status")
        session.screen.table([column.upper() for column in columns], ([package.get(column) for column in columns] for package in packages))


def show(session: Session, package_id: PackageId) -> None:
    """Show one package."""
    answer = session.server.get(f"/package/{package_id}")
    if not session.document(answer):
        package = answer.record
        session.screen.fields(package | {"environments": ", ".join(map(str, package.get("environments") or []))})


def download(
    session: Session,
    package_id: PackageId,
    following: Annotated[
        bool | None, typer.Option("--follow/--no-follow", show_default=False, help="Stay and show the log; the default on a terminal.")
    ] = None,
) -> None:
    """Fetch or build a package in the background. While that runs, the same job is followed."""
    answer = session.server.post(f"/package/{package_id}/download")
    task_id = answer.record.get("task_id")
    stay = task_id is not None and (session.screen.interactive if following is None else following)
    if not stay and session.document(answer):
        return
    if stay:
        require_success(follow(session, str(task_id)))
        if session.screen.json:
            return
    named = _described(session, package_id)
    if stay:
        session.screen.success(f"Downloaded {named}")
    elif task_id is None:
        session.screen.success(f"{named} is already downloaded")
    else:
        session.screen.say(f"Downloading {named} as job {task_id}")
        session.screen.note(f"Follow it: pkgctl jobs log {task_id} --follow")


def activate(
    session: Session,
    package_id: PackageId,
    check_command: Annotated[
        str | None, typer.Option(metavar="COMMAND", help='Undo the activation unless this succeeds, such as "hello --version".')
    ] = None,
    check_url: Annotated[str | None, typer.Option(metavar="URL", help="Undo the activation unless this URL answers with success.")] = None,
    timeout: Annotated[int | None, typer.Option(metavar="SECONDS", min=1, help="How long the check may take.")] = None,
) -> None:
    """Make a package live in its environment, as a new generation."""
    check = _health_check(check_command, check_url, timeout)
    with session.screen.waiting("Activating"):
        answer = session.server.post(
            f"/package/{package_id}/activate", {"health_check": check} if check else None, patience=ACTIVATION_PATIENCE + (timeout or 0)
        )
    if not session.document(answer):
        session.screen.success(f"Activated {_described(session, package_id)}")


def deactivate(session: Session, package_id: PackageId) -> None:
    """Take a package out of its environment, as a new generation."""
    with session.screen.waiting("Deactivating"):
        answer = session.server.post(f"/package/{package_id}/deactivate", patience=ACTIVATION_PATIENCE)
    if not session.document(answer):
        session.screen.success(f"Deactivated {_described(session, package_id)}")


def delete(session: Session, package_id: PackageId) -> None:
    """Delete a package that is not active."""
    named = f"package {package_id}" if session.screen.json else _described(session, package_id)
    answer = session.server.delete(f"/package/{package_id}")
    if not session.document(answer):
        session.screen.success(f"Deleted {named}")


def _health_check(check_command: str | None, check_url: str | None, timeout: int | None) -> dict[str, object] | None:
    if check_command is not None and check_url is not None:
        raise typer.BadParameter("give one of --check-command and --check-url, not both")
    check: dict[str, object]
    if check_command is not None:
        check = {"command": _words(check_command)}
    elif check_url is not None:
        check = {"url": check_url}
    elif timeout is not None:
        raise typer.BadParameter("is the time limit of a check; give --check-command or --check-url too", param_hint="--timeout")
    else:
        return None
    return check | ({"timeout_seconds": timeout} if timeout is not None else {})


def _words(check_command: str) -> list[str]:
    """The command as an argument list: the server runs it without a shell."""
    try:
        words = shlex.split(check_command)
    except ValueError as error:
        raise typer.BadParameter(f"cannot be split into words: {error}", param_hint="--check-command") from None
    if not words:
        raise typer.BadParameter("is empty", param_hint="--check-command")
    return words


def _named(package: dict[str, Any]) -> str:
    return f"{package.get('name')} v{package.get('version')}"


def _described(session: Session, package_id: int) -> str:
    """Name and version for a message. A token that may not read packages still learns that its change was made."""
    try:
        return _named(session.server.get(f"/package/{package_id}").record)
    except Refused:
        return f"package {package_id}"
