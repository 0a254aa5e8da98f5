"""``example-admin users``: the accounts of this installation."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from example.cli.operating import Done, as_actor, operating, show
from example.identity import accounts, inventory, invitations, members, passwords
from example.identity.accounts import NewAccount
from example.identity.inventory import AccountRow
from example.identity.invitations import Invited
from example.identity.roles import Role
from example.models import User
from example.models.schema import DEFAULT_WORKSPACE

app = typer.Typer(help="Accounts: list, create, invite, roles, passwords, disable.", no_args_is_help=True)

COLUMNS = ("id", "username", "email", "is_admin", "disabled_at", "created_at", "workspaces")

Name = Annotated[str, typer.Argument(help="The user name.")]
AsJson = Annotated[bool, typer.Option("--json", help="A JSON array instead of a table.")]
InWorkspace = Annotated[str, typer.Option("--workspace", help="The workspace.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")]
Generate = Annotated[bool, typer.Option("--generate-password", help="Make a random password and print it, this once.")]


@app.command("list")
def list_users(as_json: AsJson = False) -> None:
    """Every account, with its workspaces and roles."""
    with operating("users list") as operator:
        rows: list[AccountRow] = operator.read(inventory.list_accounts)
        show(rows, COLUMNS, as_json=as_json)


@app.command()
def create(
    name: Name,
    email: Annotated[str, typer.Option(help="The e-mail address, which the user can log in with too.")],
    admin: Annotated[bool, typer.Option("--admin", help="An administrator of the instance, who may do everything.")] = False,
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    role: Annotated[Role, typer.Option(help="What the user may do in the workspace.")] = Role.DEVELOPER,
    password_stdin: FromStdin = False,
    generate_password: Generate = False,
) -> None:
    """Make an account. Asks for its password, hidden and twice, unless told where it comes from.

    For somebody else, `example-admin users invite` is better: they choose a password that nobody else has seen.
    """
    with operating("users create") as operator:
        wanted = NewAccount(name, email, None)
        password = _password(password_stdin, generate_password)
        account = NewAccount(name, email, _hash(password, wanted.username, wanted.email))

        def verb(session: Session) -> Done[None]:
            into = inventory.find_workspace(session, workspace)
            user = accounts.create(session, account, is_admin=admin)
            accounts.join(session, user.id, into.id, role)
            detail = f"{role.value} of {into.name}{', administrator' if admin else ''}"
            return Done(None, f"users/{user.username}", into.id, detail)

        operator.change("create_user", verb)
        print(f"made the account {wanted.username!r}: {role.value} of {workspace}{', administrator of the instance' if admin else ''}")
        _tell_generated(password, generate_password)


@app.command()
def invite(
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    role: Annotated[Role, typer.Option(help="What whoever accepts it may do there.")] = Role.DEVELOPER,
    days: Annotated[int, typer.Option(min=1, max=invitations.LONGEST_DAYS, help="How long it can be accepted.")] = invitations.DEFAULT_DAYS,
) -> None:
    """Print an invitation for one person, who registers with it."""
    with operating("users invite") as operator:

        def verb(session: Session) -> Done[Invited]:
            into = inventory.find_workspace(session, workspace)
            made = invitations.issue(session, operator.keys, into, role=role, days=days, created_by=None)
            return Done(made, f"workspaces/{into.name}/invitations", into.id, role.value)

        made = operator.change("create_invitation", verb)
        print(f"shown this once; {made.role.value} of {made.workspace}, until {made.expires_at:%Y-%m-%d %H:%M} UTC:", file=sys.stderr)
        print(made.secret.text)


@app.command("set-role")
def set_role(
    name: Name,
    role: Annotated[Role | None, typer.Argument(help="What the user may do in the workspace from now on.")] = None,
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    admin: Annotated[bool | None, typer.Option("--admin/--no-admin", help="Whether the user may do everything everywhere.")] = None,
) -> None:
    """Give a user a role in a workspace, or make them an administrator of the instance. Counts from the very next request on."""
    if role is None and admin is None:
        raise typer.BadParameter("name a role, or --admin or --no-admin", param_hint="ROLE")
    with operating("users set-role") as operator:

        def verb(session: Session) -> Done[None]:
            user = accounts.find(session, name, lock=True)
            said, into = [], None
            if admin is not None:
                user.is_admin = admin
                said.append("administrator" if admin else "no administrator")
            if role is not None:
                into = inventory.find_workspace(session, workspace)
                members.set_role(session, as_actor(), into.name, user.username, role)
                said.append(f"{role.value} of {into.name}")
            return Done(None, f"users/{user.username}", into.id if into else None, ", ".join(said))

        operator.change("set_role", verb)
    print(f"changed {name!r}")


@app.command("set-password")
def set_password(name: Name, password_stdin: FromStdin = False, generate_password: Generate = False) -> None:
    """Give an account a password, its first or another, and end its sessions. Asks for it, hidden and twice, unless told where from."""
    with operating("users set-password") as operator:
        found = operator.read(lambda session: accounts.find(session, name))
        password = _password(password_stdin, generate_password)
        fresh = _hash(password, found.username, found.email or "")
        operator.change("set_password", _on(name, lambda session, user: accounts.set_password(session, user, fresh)))
        print(f"{found.username!r} has a new password, and no session any more")
        _tell_generated(password, generate_password)


@app.command()
def disable(name: Name) -> None:
    """Refuse everything that the user brings, from the very next request on. Nothing is deleted."""
    with operating("users disable") as operator:
        operator.change("disable_user", _on(name, accounts.disable))
    print(f"disabled {name!r}; `example-admin tokens cleanup` revokes the tokens for good")


@app.command()
def enable(name: Name) -> None:
    """Let a disabled user in again, with the tokens that were not revoked meanwhile. They log in anew."""
    with operating("users enable") as operator:
        operator.change("enable_user", _on(name, lambda _, user: accounts.enable(user)))
    print(f"enabled {name!r}")


def _on(name: str, work: Callable[[Session, User], object]) -> Callable[[Session], Done[None]]:
    def verb(session: Session) -> Done[None]:
        user = accounts.find(session, name, lock=True)
        work(session, user)
        return Done(None, f"users/{user.username}")

    return verb


def _password(from_stdin: bool, generate: bool) -> str:
    if from_stdin and generate:
        raise typer.BadParameter("is one way to a password; name one", param_hint="--password-stdin with --generate-password")
    if generate:
        return secrets.token_urlsafe(18)
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not _on_terminal():
        raise typer.BadParameter("there is no terminal to ask on; use --password-stdin or --generate-password", param_hint="password")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt="Again"))


def _on_terminal() -> bool:
    return sys.stdin.isatty()


def _hash(password: str, *names: str) -> str:
    passwords.require_good(password, names=names)
    return passwords.hashed(password)


def _tell_generated(password: str, generated: bool) -> None:
    if generated:
        print(f"its password, shown this once: {password}")
