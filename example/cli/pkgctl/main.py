"""The program `pkgctl`: its commands put together. Start here to find which file holds which command."""

import io
import os
import sys
from typing import Annotated

import typer

from example import __version__

from . import environment, jobs, login, packages, tokens, whoami, workspaces
from .errors import CREDENTIAL_HINT
from .session import DEFAULT_URL, Given, Session, command

app = typer.Typer(
    name="pkgctl",
    help="Fetch, build and activate packages on a Package Master server.",
    epilog=f"Not logged in yet? Then {CREDENTIAL_HINT}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # plain tracebacks: no local variables, which could hold the token
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"pkgctl {__version__}")
        raise typer.Exit


@app.callback()
def connection(
    ctx: typer.Context,
    url: Annotated[str | None, typer.Option(metavar="URL", envvar="PKGCTL_URL", help=f"The server. Default: {DEFAULT_URL}")] = None,
    token: Annotated[str | None, typer.Option(metavar="TOKEN", envvar=["PKGCTL_TOKEN", "API_KEY"], help="Default: the saved one.")] = None,
    workspace: Annotated[
        str | None,
        typer.Option("--workspace", "-w", metavar="NAME", envvar="PKGCTL_WORKSPACE", help="Default: the credential's own, or default."),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the server's JSON and nothing else.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version of pkgctl.")
    ] = False,
) -> None:
    """Keep the options that are given before the command's name, or in the environment."""
    source = "--token"
    if getattr(ctx.get_parameter_source("token"), "name", "") == "ENVIRONMENT":
        source = "PKGCTL_TOKEN" if os.environ.get("PKGCTL_TOKEN") else "API_KEY"
    ctx.obj = Given(url, token, json_output, workspace, source)


login.register(app)
whoami.register(app)
packages.register(app)
app.add_typer(environment.app, name="env")
app.add_typer(jobs.app, name="jobs")
app.add_typer(tokens.app, name="token")
app.add_typer(workspaces.app, name="workspace")


@command(app, "version")
def version(session: Session) -> None:
    """Show the version of pkgctl and of the server."""
    if not session.screen.json:
        session.screen.say(f"pkgctl {__version__}")
    answer = session.server.get("/version")
    if not session.document(answer):
        session.screen.say(f"server {answer.record.get('version')} (build {answer.record.get('build')})")


def main() -> None:
    """Run the program. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows only Latin-1 still shows the rest
    app.rich_markup_mode = "rich" if sys.stdout.isatty() and sys.stderr.isatty() else None
    app()


if __name__ == "__main__":
    main()
