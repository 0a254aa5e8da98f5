"""The commands on tokens: `pkgctl token …`. The only place that prints a token, and only when it comes into being."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import typer

from . import credentials
from .credentials import Saved
from .errors import Refused
from .listing import All, Limit, read_list
from .server import Answer, Server
from .session import Session, bare, command

app = typer.Typer(help="Make and revoke tokens; alone, list them.")

TokenId = Annotated[int, typer.Argument(metavar="ID", min=1, help="The number of the token, as `pkgctl token list` shows it.")]
Save = Annotated[
    bool, typer.Option("--save", help="Keep it for later commands to this server, in the system keyring or a file that only you can read.")
]


@bare(app)
def list_first(session: Session) -> None:
    """Make and revoke tokens; alone, list them."""
    _list(session, None, everything=False)


@command(app, "create")
def create(
    session: Session,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What it is for.")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="What it may do, such as packages:read; repeat for more.")
    ] = None,
    resource: Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="The package names it is for, such as hello*.")] = None,
    expires_in_days: Annotated[int | None, typer.Option(metavar="DAYS", min=1, help="How long it lives.")] = None,
    allowed_ip: Annotated[list[str] | None, typer.Option(metavar="CIDR", help="The addresses it may come from.")] = None,
    save: Save = False,
) -> None:
    """Make a token and print it, this once."""
    wanted = {"name": name, "scopes": scope, "resources": resource, "expires_in_days": expires_in_days, "allowed_ips": allowed_ip}
    body = {key: value for key, value in wanted.items() if value}
    if save:
        credentials.load(session.server.url)  # a file that can't be used is told before there is a token to lose
    answer = _create(session, body)
    saved = session.saved or Saved("")
    _reveal(
        session,
        answer,
        "Created",
        keep=Saved("", username=saved.username, workspace=session.workspace or saved.workspace) if save else None,
    )


@command(app, "list")
def list_tokens(session: Session, limit: Limit = None, everything: All = False) -> None:
    """List tokens, without their secrets."""
    _list(session, limit, everything=everything)


@command(app, "show")
def show(session: Session, token_id: TokenId) -> None:
    """Show one token, without its secret."""
    answer = session.server.get(f"/tokens/{token_id}")
    if not session.document(answer):
        session.screen.fields({name: _joined(value) for name, value in answer.record.items() if name != "token"})


@command(app, "regenerate")
def regenerate(session: Session, token_id: TokenId, save: Save = False) -> None:
    """Give a token a new secret and print it, this once; the old secret is void."""
    # The kept token becomes void: its successor is kept too, or the next command is locked out.
    keep = _kept(session, token_id) or (Saved("", workspace=session.workspace) if save else None)
    _reveal(session, session.server.post(f"/tokens/{token_id}/regenerate"), "Regenerated", keep=keep)


@command(app, "revoke")
def revoke(session: Session, token_id: TokenId) -> None:
    """Make a token void."""
    kept = _kept(session, token_id)
    answer = session.server.delete(f"/tokens/{token_id}")
    if kept is not None:
        credentials.forget(session.server.url)
    if not session.document(answer):
        session.screen.success(f"Revoked token {token_id}")


@command(app, "logs")
def logs(session: Session, token_id: TokenId, limit: Limit = None, everything: All = False) -> None:
    """List what a token was used for, newest first."""
    entries = read_list(session, f"/tokens/{token_id}/logs", {"limit": limit}, everything=everything)
    if entries is not None:
        columns = ("at", "ip", "action", "resource", "decision", "reason", "status")
        session.screen.table([column.upper() for column in columns], ([entry.get(column) for column in columns] for entry in entries))


@command(app, "allowed-ips")
def allowed_ips(
    session: Session,
    token_id: TokenId,
    networks: Annotated[list[str] | None, typer.Argument(metavar="CIDR", help="Addresses and networks, such as 10.0.0.0/8.")] = None,
    anywhere: Annotated[bool, typer.Option("--anywhere", help="Let it come from everywhere.")] = False,
) -> None:
    """Say from where a token may be used, in place of what was said before."""
    if bool(networks) == anywhere:
        raise typer.BadParameter("name addresses or networks, or say --anywhere", param_hint="CIDR")
    answer = session.server.put(f"/tokens/{token_id}/allowed-ips", {"allowed_ips": networks or []})
    if not session.document(answer):
        session.screen.success(f"Token {token_id} may be used from {_joined(answer.record.get('allowed_ips')) or 'everywhere'}")


def _create(session: Session, body: Mapping[str, object]) -> Answer:
    try:
        return session.server.post("/tokens", body)
    except Refused as refused:
        if session.saved is None or refused.status != 401:
            raise
    # The kept token is void (expired, or the database is new). The hint at every 401 is this command, so it must not end here.
    session.screen.note("The saved token is no longer valid; asking without it.")
    server = Server(session.server.url, None, session.workspace)
    try:
        return server.post("/tokens", body)
    finally:
        server.close()


def _reveal(session: Session, answer: Answer, done: str, *, keep: Saved | None) -> None:
    """Print a new token: alone on standard output, so that `TOKEN=$(pkgctl token create)` holds it and nothing else."""
    made = answer.record
    token, token_id, expires_at = made.get("token"), made.get("id"), made.get("expires_at")
    if not isinstance(token, str):
        raise Refused("the server answered without a token")
    if not session.document(answer):
        session.screen.note(f"{done} token {token_id} ({_joined(made.get('scopes'))}). It is shown only now:")
        session.screen.say(token)
    if keep is not None:
        where = credentials.save(session.server.url, replace(keep, token=token, token_id=token_id, expires_at=expires_at))
        session.screen.note(f"Saved for {session.server.url} in {where}")


def _kept(session: Session, token_id: int) -> Saved | None:
    """The kept token, when it is this one. Asked before the server acts: a file that can't be read must not cost a new secret."""
    kept = credentials.load(session.server.url)
    return kept if kept is not None and kept.token_id == token_id and kept.refresh_token is None else None


def _list(session: Session, limit: int | None, *, everything: bool) -> None:
    tokens = read_list(session, "/tokens", {"limit": limit}, everything=everything)
    if tokens is not None:
        session.screen.table(("ID", "NAME", "PREFIX", "SCOPES", "EXPIRES", "STATE"), map(_row, tokens))


def _row(token: dict[str, Any]) -> list[object]:
    state = "revoked" if token.get("revoked_at") else ""
    return [token.get("id"), token.get("name"), token.get("prefix"), _joined(token.get("scopes")), token.get("expires_at"), state]


def _joined(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
