"""What every command has: the options --url, --token and --json (before or after its name), a server and a screen.

Owns how a command is registered, where its token comes from, and how a refusal becomes exit code 1. Typer itself answers
wrong usage with exit code 2 and Ctrl-C with 130.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Concatenate, ParamSpec

import httpx
import typer

from . import credentials
from .errors import Refused
from .screen import Screen
from .server import Answer, Server

DEFAULT_URL = "http://127.0.0.1:8000"
_PANEL = "Connection"

Url = Annotated[str | None, typer.Option("--url", metavar="URL", help="The server.", rich_help_panel=_PANEL)]
Token = Annotated[str | None, typer.Option("--token", metavar="TOKEN", help="The token to use.", rich_help_panel=_PANEL)]
Json = Annotated[bool, typer.Option("--json", help="Print the server's JSON and nothing else.", rich_help_panel=_PANEL)]

P = ParamSpec("P")


@dataclass(frozen=True)
class Given:
    """The connection options as given so far; those after the command's name count more."""

    url: str | None = None
    token: str | None = field(default=None, repr=False)
    json: bool = False

    def then(self, url: str | None, token: str | None, json: bool) -> "Given":
        """These options with later ones on top."""
        return Given(url or self.url, self.token if token is None else token, json or self.json)


@dataclass(frozen=True)
class Session:
    """One run of one command. `saved` is the kept token when that is the one in use."""

    server: Server
    screen: Screen
    saved: credentials.Saved | None = None

    def document(self, answer: Answer) -> bool:
        """With --json, print the server's document; says whether that was all there is to show."""
        if self.screen.json:
            self.screen.document(answer.text)
        return self.screen.json


def command(app: typer.Typer, name: str) -> Callable[[Callable[Concatenate[Session, P], None]], Callable[Concatenate[Session, P], None]]:
    """Register a function as a command of `app`. Its first argument is the session, the others are Typer parameters."""

    def register(function: Callable[Concatenate[Session, P], None]) -> Callable[Concatenate[Session, P], None]:
        app.command(name)(_connected(function))
        return function

    return register


def bare(app: typer.Typer) -> Callable[[Callable[[Session], None]], Callable[[Session], None]]:
    """Register what `app` does when no command of it is named."""

    def register(function: Callable[[Session], None]) -> Callable[[Session], None]:
        app.callback(invoke_without_command=True)(_connected(function))
        return function

    return register


def _connected(function: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    def run(ctx: typer.Context, url: str | None, token: str | None, json_output: bool, *args: P.args, **own: P.kwargs) -> None:
        given = ctx.obj = ctx.ensure_object(Given).then(url, token, json_output)
        if ctx.invoked_subcommand is not None:
            return
        screen = Screen(json=given.json)
        try:
            session = _open(given, screen)
            try:
                function(session, *args, **own)
            finally:
                session.server.close()
        except Refused as refused:
            screen.refusal(refused)
            raise typer.Exit(1) from None

    _declare(run, function)
    return run


def _declare(run: Callable[..., None], function: Callable[..., None]) -> None:
    """Give `run` the signature that Typer reads: the function's own parameters and the connection's."""

    def option(name: str, kind: object, default: object) -> inspect.Parameter:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)

    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in list(inspect.signature(function).parameters.values())[1:]
    ]
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [context, *own, option("url", Url, None), option("token", Token, None), option("json_output", Json, False)]
    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__dict__["__signature__"] = inspect.Signature(parameters)


def _open(given: Given, screen: Screen) -> Session:
    url = normal_url(given.url or DEFAULT_URL)
    saved = credentials.load(url) if given.token is None else None
    token = saved.token if saved else given.token
    if token and not _can_be_sent(token):
        raise typer.BadParameter(
            "the token contains a space, a line break or a character that no token has; copy it again", param_hint="--token"
        )
    return Session(Server(url, token), screen, saved)


def normal_url(url: str) -> str:
    """One spelling per server. Raises typer.BadParameter for what is not the address of a server."""
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    whole = parsed.scheme in ("http", "https") and parsed.host and (parsed.port or 0) < 65536
    if not whole or parsed.userinfo or parsed.query or parsed.fragment:
        raise typer.BadParameter("must look like http://127.0.0.1:8000, without a user name or a query", param_hint="--url")
    return str(parsed).rstrip("/")


def _can_be_sent(token: str) -> bool:
    return all("!" <= character <= "~" for character in token)
