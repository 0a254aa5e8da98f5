"""What every command has: the options --url, --token, --workspace and --json (before or after its name), a server and a screen.

Owns how a command is registered, where its credential comes from, and how a refusal becomes exit code 1. Typer itself answers
wrong usage with exit code 2 and Ctrl-C with 130.
"""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Concatenate, ParamSpec

import httpx
import typer

from . import credentials
from .bearer import Bearer
from .errors import LOG_IN, Refused
from .renewal import Renewing
from .screen import Screen
from .server import Answer, Server

DEFAULT_URL = "http://127.0.0.1:8000"
_PANEL = "Connection"

Url = Annotated[str | None, typer.Option("--url", metavar="URL", help="The server.", rich_help_panel=_PANEL)]
Token = Annotated[str | None, typer.Option("--token", metavar="TOKEN", help="The token to use.", rich_help_panel=_PANEL)]
Workspace = Annotated[
    str | None, typer.Option("--workspace", "-w", metavar="NAME", help="The workspace to act in.", rich_help_panel=_PANEL)
]
Json = Annotated[bool, typer.Option("--json", help="Print the server's JSON and nothing else.", rich_help_panel=_PANEL)]

P = ParamSpec("P")


@dataclass(frozen=True)
class Given:
    """The connection options as given so far; those after the command's name count more. `source`: where the token came from."""

    url: str | None = None
    token: str | None = field(default=None, repr=False)
    json: bool = False
    workspace: str | None = None
    source: str = "--token"

    def then(self, url: str | None, token: str | None, workspace: str | None, json: bool) -> "Given":
        """These options with later ones on top."""
        return Given(
            url or self.url,
            self.token if token is None else token,
            json or self.json,
            workspace or self.workspace,
            self.source if token is None else "--token",
        )


@dataclass(frozen=True)
class Session:
    """One run of one command. `saved` is the kept credential when that is the one in use, `token` the one that was given instead, and
    `source` says where that came from. `workspace` is the one that requests name.
    """

    server: Server
    screen: Screen
    saved: credentials.Saved | None = None
    token: str | None = field(default=None, repr=False)
    source: str = "--token"
    workspace: str | None = None

    def document(self, answer: Answer) -> bool:
        """With --json, print the server's document; says whether that was all there is to show."""
        if self.screen.json:
            self.screen.document(answer.text)
        return self.screen.json

    def summary(self, values: Mapping[str, object]) -> bool:
        """The same for what pkgctl itself puts together from several answers."""
        if self.screen.json:
            self.screen.document(json.dumps(values, ensure_ascii=False))
        return self.screen.json

    def advised(self, refused: Refused) -> Refused:
        """The refusal with a remedy that fits the credential in use."""
        if refused.status == 401 and self.saved is not None:
            refused.hint = LOG_IN
        elif refused.status == 401 and self.token:
            refused.hint = f"the token is from {self.source}: give another one, or leave it out and {LOG_IN}"
        elif refused.status == 404 and self._is_elsewhere:
            assert self.saved is not None
            refused.hint = f"the saved token acts in the workspace {self.saved.workspace} only; {LOG_IN} --workspace {self.workspace}"
        return refused

    @property
    def _is_elsewhere(self) -> bool:
        token = self.saved if self.saved is not None and self.saved.refresh_token is None else None
        return token is not None and None not in (token.workspace, self.workspace) and token.workspace != self.workspace


def command(
    app: typer.Typer, name: str, *, credential: bool = True
) -> Callable[[Callable[Concatenate[Session, P], None]], Callable[Concatenate[Session, P], None]]:
    """Register a function as a command of `app`. Its first argument is the session, the others are Typer parameters.

    Without `credential` it asks with none, and has no option --token.
    """

    def register(function: Callable[Concatenate[Session, P], None]) -> Callable[Concatenate[Session, P], None]:
        app.command(name)(_connected(function, credential=credential))
        return function

    return register


def bare(app: typer.Typer) -> Callable[[Callable[[Session], None]], Callable[[Session], None]]:
    """Register what `app` does when no command of it is named."""

    def register(function: Callable[[Session], None]) -> Callable[[Session], None]:
        app.callback(invoke_without_command=True)(_connected(function, credential=True))
        return function

    return register


def _connected(function: Callable[Concatenate[Session, P], None], *, credential: bool) -> Callable[..., None]:
    def run(
        ctx: typer.Context,
        url: str | None,
        workspace: str | None,
        json_output: bool,
        token: str | None = None,
        *args: P.args,
        **own: P.kwargs,
    ) -> None:
        given = ctx.obj = ctx.ensure_object(Given).then(url, token, workspace, json_output)
        if ctx.invoked_subcommand is not None:
            return
        screen = Screen(json=given.json)
        try:
            with _opened(given, screen, credential=credential) as session:
                function(session, *args, **own)
        except Refused as refused:
            screen.refusal(refused)
            raise typer.Exit(1) from None

    _declare(run, function, credential=credential)
    return run


def _declare(run: Callable[..., None], function: Callable[..., None], *, credential: bool) -> None:
    """Give `run` the signature that Typer reads: the function's own parameters and the connection's."""

    def option(name: str, kind: object, default: object) -> inspect.Parameter:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)

    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in list(inspect.signature(function).parameters.values())[1:]
    ]
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    connection = [option("url", Url, None), option("workspace", Workspace, None), option("json_output", Json, False)]
    if credential:
        connection.insert(1, option("token", Token, None))
    parameters = [context, *own, *connection]
    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__dict__["__signature__"] = inspect.Signature(parameters)


@contextmanager
def _opened(given: Given, screen: Screen, *, credential: bool) -> Iterator[Session]:
    session = _open(given, screen, credential=credential)
    try:
        yield session
    except Refused as refused:
        raise session.advised(refused) from None
    finally:
        session.server.close()


def _open(given: Given, screen: Screen, *, credential: bool) -> Session:
    url = normal_url(given.url or DEFAULT_URL)
    workspace = given.workspace
    if workspace and not _can_be_sent(workspace):
        raise typer.BadParameter("is not the name of a workspace", param_hint="--workspace")
    if not credential:
        return Session(Server(url, None, workspace), screen, workspace=workspace)
    saved = credentials.load(url) if given.token is None else None
    token = saved.token if saved else given.token
    if token and not _can_be_sent(token):
        raise typer.BadParameter(
            "the token contains a space, a line break or a character that no token has; copy it again", param_hint=given.source
        )
    if saved is not None and saved.refresh_token is not None:
        workspace = workspace or saved.workspace  # a token knows its own
        return Session(Server(url, Renewing(url, saved), workspace), screen, saved, workspace=workspace)
    server = Server(url, Bearer(token) if token else None, workspace)
    return Session(server, screen, saved, given.token, given.source, workspace)


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
