"""`pkgctl whoami`: who the next command will be, where, and with which credential."""

from typing import Any

import typer

from . import credentials
from .account import Account, prefix_of, read_account, read_token
from .errors import CREDENTIAL_HINT, Refused
from .session import Session, command

_OF_TOKEN = ("id", "name", "scopes", "resources", "allowed_ips", "expires_at")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    command(app, "whoami")(whoami)


def whoami(session: Session) -> None:
    """Show the user, the role, the workspace and the credential that commands use."""
    if session.saved is None and not session.token:
        raise Refused(f"not logged in to {session.server.url}", hint=CREDENTIAL_HINT)
    with session.screen.waiting("Asking"):
        account = read_account(session.server)
        credential = _credential(session)
    workspace = _workspace(session, account, credential.pop("workspace", None))
    role = account.role_in(workspace)
    facts = {"url": session.server.url, "user": account.record or None, "workspace": workspace, "role": role, "credential": credential}
    if session.summary(facts):
        return
    if not account.record:
        session.screen.note("The token may not read your account: it lacks the scope users:read")
    session.screen.fields(
        {
            "server": session.server.url,
            "user": account.username,
            "email": account.record.get("email"),
            "administrator": "yes" if account.is_admin else None,
            "workspace": workspace,
            "role": role,
            "credential": f"{credential.pop('kind')}, from {credential.pop('source')}",
        }
        | {name.replace("_", " "): ", ".join(value) if isinstance(value, list) else value for name, value in credential.items()}
    )


def _credential(session: Session) -> dict[str, Any]:
    saved = session.saved
    source = session.source if saved is None else credentials.place(session.server.url)
    if saved is not None and saved.refresh_token:
        return {"kind": "session", "source": source}
    token = saved.token if saved is not None else session.token or ""
    found = read_token(session.server, token, saved.token_id if saved is not None else None)
    known = {"kind": "token", "source": source, "prefix": prefix_of(token)} | {name: found.get(name) for name in _OF_TOKEN}
    if saved is not None:
        known["expires_at"] = known["expires_at"] or saved.expires_at
    return known | {"workspace": found.get("workspace") or (saved.workspace if saved is not None else None)}


def _workspace(session: Session, account: Account, of_token: str | None) -> str | None:
    """The one that is named, the token's, or the only one there can be."""
    only = next(iter(account.roles)) if len(account.roles) == 1 and not account.is_admin else None
    return session.workspace or of_token or only
