"""``example-admin tokens``: everybody's personal access tokens."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from example.cli.operating import Done, operating, show, show_one
from example.identity import accounts, inventory
from example.identity.inventory import Cleanup, TokenRow
from example.identity.issuing import DEFAULT_DAYS, LONGEST_DAYS, IssuedToken, TokenRequest
from example.identity.scopes import Scope
from example.models.schema import DEFAULT_WORKSPACE

app = typer.Typer(help="Personal access tokens: list, create, info, revoke, cleanup.", no_args_is_help=True)

COLUMNS = ("id", "prefix", "name", "owner", "workspace", "state", "scopes", "expires_at", "last_used_at")

TokenId = Annotated[int, typer.Argument(help="The token's id, as `tokens list` shows it.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


@app.command("list")
def list_tokens(
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    workspace: Annotated[str | None, typer.Option(help="Only this workspace's.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Expired and revoked ones too.")] = False,
    as_json: AsJson = False,
) -> None:
    """The tokens that work; only prefixes, because secrets are not kept."""
    with operating("tokens list") as operator:
        rows = operator.read(lambda session: inventory.list_tokens(session, owner=user, workspace=workspace, all_states=everything))
        show(rows, COLUMNS, as_json=as_json)


@app.command()
def create(
    user: Annotated[str, typer.Argument(help="Whose it shall be.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "operator",
    workspace: Annotated[str, typer.Option(help="Where it works.")] = DEFAULT_WORKSPACE,
    scope: Annotated[list[Scope] | None, typer.Option(help="What it may do, as far as its owner may; all unless named. Repeat it.")] = None,
    resource: Annotated[list[str] | None, typer.Option(help="A package name, or a beginning with * at its end. Repeat it.")] = None,
    allowed_ip: Annotated[list[str] | None, typer.Option(help="An address or network that it works from. Repeat it.")] = None,
    days: Annotated[int, typer.Option(min=1, max=LONGEST_DAYS, help="How long it lives.")] = DEFAULT_DAYS,
) -> None:
    """Make a token for a user and print it, alone on standard output, this once."""
    request = TokenRequest(name[:100], tuple(scope) if scope else None, tuple(resource or ()), days, tuple(allowed_ip or ()))
    with operating("tokens create") as operator:

        def verb(session: Session) -> Done[IssuedToken]:
            owner, into = accounts.find(session, user), inventory.find_workspace(session, workspace)
            issued = inventory.create_token(session, operator.keys.tokens[0], owner, into, request)
            return Done(issued, f"tokens/{issued.token.id}", into.id, f"for {owner.username}")

        issued = operator.change("create_token", verb)
        print(f"token {issued.token.id}, shown this once; it ends {issued.token.expires_at:%Y-%m-%d %H:%M} UTC:", file=sys.stderr)
        print(issued.secret.text)


@app.command()
def info(token_id: TokenId, as_json: AsJson = False) -> None:
    """One token, without its secret."""
    with operating("tokens info") as operator:
        show_one(operator.read(lambda session: inventory.show_token(session, token_id)), as_json=as_json)


@app.command()
def revoke(token_id: TokenId) -> None:
    """End a token: it is refused from the very next request on. Doing it again changes nothing."""
    with operating("tokens revoke") as operator:

        def verb(session: Session) -> Done[TokenRow]:
            return Done(inventory.revoke_token(session, token_id), f"tokens/{token_id}")

        row = operator.change("revoke_token", verb)
        print(f"revoked token {row.id} ({row.prefix}…, {row.owner})")


@app.command()
def cleanup() -> None:
    """Revoke the tokens of disabled users and of deleted workspaces, so that they never work again; count those that have expired.

    No row is deleted: the audit names them. Expired and revoked ones cost nothing but their row.
    """
    with operating("tokens cleanup") as operator:

        def verb(session: Session) -> Done[Cleanup]:
            done = inventory.clean_up(session)
            return Done(done, "tokens", detail=f"revoked {', '.join(str(row.id) for row in done.revoked) or 'none'}")

        done = operator.change("clean_up_tokens", verb)
        show(done.revoked, COLUMNS, as_json=False)
        print(f"revoked {len(done.revoked)} tokens of disabled users and deleted workspaces; {done.expired} have expired by themselves")
