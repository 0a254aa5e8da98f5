"""`pkgctl login` and `pkgctl register`. Owns what a log-in leaves behind: by default a personal access token made for this machine.

The password goes to the server once and is kept nowhere. The session that it opens makes the token and ends; only with --session
is it kept instead.
"""

import getpass
import os
import socket
from dataclasses import replace
from typing import Annotated

import typer

from . import credentials, prompts
from .account import Account, prefix_of, read_account, read_token
from .bearer import Bearer
from .credentials import Saved
from .errors import Refused
from .logout import end, logout
from .renewal import granted
from .server import Server
from .session import Session, command

Days = Annotated[int | None, typer.Option(metavar="N", min=1, help="How long the token lives; the server's default is 90 days.")]
KeepSession = Annotated[bool, typer.Option("--session", help="Keep the session itself, not a token: it can do all that you can.")]
Existing = Annotated[bool, typer.Option("--token", help="Keep a token that you have; it is asked for, or read from a pipe.")]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
Username = Annotated[str | None, typer.Argument(metavar="USERNAME", show_default=False, help="The user name; asked for if not given.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    command(app, "login", credential=False)(login)
    command(app, "logout", credential=False)(logout)
    command(app, "register", credential=False)(sign_up)


def login(
    session: Session,
    username: Username = None,
    token_days: Days = None,
    keep_session: KeepSession = False,
    existing: Existing = False,
    password_stdin: PasswordStdin = False,
) -> None:
    """Log in with a password, and keep a token for later commands to this server."""
    if existing and (username or token_days or keep_session or password_stdin):
        raise typer.BadParameter("keeps a token that you have; nothing else goes with it", param_hint="--token")
    if keep_session and token_days:
        raise typer.BadParameter("is for the token, and --session makes none", param_hint="--token-days")
    url = session.server.url
    credentials.place(url)  # a file that can't be used is told before there is anything to lose
    earlier = _earlier(url)
    if existing:
        account, saved = _existing(session)
        where = credentials.save(url, saved)
    else:
        account, begun = _begin(session, username, password_stdin=password_stdin)
        saved, where = (begun, credentials.save(url, begun)) if keep_session else _exchange(session, begun, token_days)
    if earlier is not None and earlier.by_login and earlier.token != saved.token:
        _end_earlier(session, earlier)
    _tell(session, account, saved, where)


def sign_up(
    session: Session,
    username: Username = None,
    email: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Your e-mail address; asked for if not given.")] = None,
    invited: Annotated[bool, typer.Option("--invited", help="You have an invitation; its code is asked for.")] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password, then the invitation's code, from standard input.")
    ] = False,
) -> None:
    """Make an account."""
    name = username or prompts.line("User name", option="the argument USERNAME")
    address = email or prompts.line("E-mail address", option="--email")
    option = "--password-stdin"
    password = prompts.piped(option) if password_stdin else prompts.secret("Password", option=option, again=True)
    body = {"username": name, "email": address, "password": password}
    if invited:
        body["invitation"] = prompts.piped(option) if password_stdin else prompts.secret("Invitation", option=option)
        session.server.hide(body["invitation"])
    session.server.hide(password)
    answer = session.server.post("/auth/register", body)
    if not session.document(answer):
        session.screen.success(f"Registered {answer.record.get('username') or name} at {session.server.url}")
        session.screen.note(f"Now log in: pkgctl login {name}")


def _earlier(url: str) -> Saved | None:
    try:
        return credentials.load(url)
    except Refused:  # its keyring can't be used: a new log-in is the remedy
        return None


def _existing(session: Session) -> tuple[Account, Saved]:
    token = prompts.secret_or_piped("Token")
    if not all("!" <= character <= "~" for character in token):
        raise typer.BadParameter("this contains a space or a character that no token has; copy it again", param_hint="--token")
    server = Server(session.server.url, Bearer(token), session.workspace)
    try:
        account = read_account(server)
        found = read_token(server, token, None)
    finally:
        server.close()
    return account, Saved(
        token, found.get("id"), expires_at=found.get("expires_at"), username=account.username, workspace=found.get("workspace")
    )


def _begin(session: Session, username: str | None, *, password_stdin: bool) -> tuple[Account, Saved]:
    option = "--password-stdin"
    name = username or prompts.line("User name or e-mail", option="the argument USERNAME")
    password = prompts.piped(option) if password_stdin else prompts.secret("Password", option=option)
    session.server.hide(password)
    with session.screen.waiting("Logging in"):
        record = session.server.post("/auth/login", {"username": name, "password": password}).record
    begun = granted(record, Saved("", by_login=True))
    server = Server(session.server.url, Bearer(begun.token))
    try:
        account = read_account(server)
        workspace = _workspace(session, account)
    except Refused:
        _log_out(server)
        raise
    finally:
        server.close()
    return account, replace(begun, username=account.username, workspace=workspace)


def _workspace(session: Session, account: Account) -> str | None:
    """The workspace to act in: the one that was named, else `default`, else the only one."""
    mine = account.roles
    wanted = session.workspace or ("default" if "default" in mine or account.is_admin else next(iter(mine), None))
    if session.workspace is None and "default" not in mine and len(mine) > 1 and not account.is_admin:
        raise Refused(f"you are in several workspaces: {', '.join(mine)}", hint="name one with --workspace")
    if wanted is not None and wanted not in mine and not account.is_admin:
        raise Refused(f"there is no workspace {wanted!r} that you can see", hint=f"yours: {', '.join(mine) or 'none yet'}")
    return wanted


def _exchange(session: Session, begun: Saved, days: int | None) -> tuple[Saved, str]:
    """Make a token with the session, keep it, and end the session, whatever happens."""
    url = session.server.url
    server = Server(url, Bearer(begun.token), begun.workspace)
    try:
        if begun.workspace is None:
            raise Refused(
                "you are a member of no workspace yet, and a token belongs to one",
                hint="ask for an invitation, or make one: pkgctl login --session, then pkgctl workspace create NAME",
            )
        made = server.post("/tokens", {"name": _token_name()} | ({"expires_in_days": days} if days else {})).record
        if not isinstance(made.get("token"), str):
            raise Refused("the server answered without a token")
        saved = replace(begun, token=made["token"], token_id=made.get("id"), refresh_token=None, expires_at=made.get("expires_at"))
        try:
            return saved, credentials.save(url, saved)
        except Refused:
            server.delete(f"/tokens/{saved.token_id}")  # nobody has it
            raise
    finally:
        _log_out(server)
        server.close()


def _log_out(server: Server) -> None:
    try:
        server.post("/auth/logout")
    except Refused:
        return  # it ends by itself


def _end_earlier(session: Session, earlier: Saved) -> None:
    try:
        session.screen.note(f"The log-in before this one: {end(session.server.url, earlier)}")
    except Refused as refused:
        session.screen.note(f"The log-in before this one could not be ended: {refused.message}")


def _tell(session: Session, account: Account, saved: Saved, where: str) -> None:
    role = account.role_in(saved.workspace)
    kind = "session" if saved.refresh_token else "token"
    facts: dict[str, object] = {
        "url": session.server.url,
        "username": saved.username,
        "workspace": saved.workspace,
        "role": role,
        "credential": kind,
        "saved_in": where,
    }
    if kind == "token":
        facts |= {"token_id": saved.token_id, "prefix": prefix_of(saved.token), "expires_at": saved.expires_at}
    for name in ("PKGCTL_TOKEN", "API_KEY"):
        if os.environ.get(name):
            session.screen.note(f"{name} is set and counts more than what is saved; unset it to use this log-in")
    if session.summary(facts):
        return
    place = f" ({role} in {saved.workspace})" if role and saved.workspace else ""
    session.screen.success(f"Logged in to {session.server.url} as {saved.username or 'the owner of the token'}{place}")
    until = f" until {saved.expires_at}" if kind == "token" and saved.expires_at else ""
    session.screen.note(f"The {kind}{until} is saved in {where}")


def _token_name() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container without this user id in /etc/passwd
        user = ""
    name = f"pkgctl on {socket.gethostname()}" + (f" ({user})" if user else "")
    return "".join(character for character in name if character.isprintable())[:100]
