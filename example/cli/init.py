"""``example-init``: create or migrate the database; in production, make the first administrator's token."""

from __future__ import annotations

import argparse
import sys

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from example import log
from example.audit.entries import Entry, append
from example.cli.operating import operator_name
from example.cli.starting import explained, settings_or_exit
from example.config import Settings
from example.core import Core, open_core
from example.errors import Invalid
from example.identity import accounts, bootstrap
from example.identity.issuing import TokenRequest
from example.models import User


def prepare(settings: Settings, *, reset: bool = False, email: str | None = None) -> str | None:
    """Bring the database up to date; answers the first administrator's token when this made one (production, no user yet).

    Raises:
        Invalid: ``email`` is no address; nothing was changed.
    """
    address = accounts.checked_address(email) if email is not None else None
    core = open_core(settings, drop_all=reset)
    try:
        return core.database.transact(lambda session: first_administrator(session, core, address))
    finally:
        core.close()


def first_administrator(session: Session, core: Core, email: str | None = None) -> str | None:
    """Make the first administrator, once; of several that try at the same time, one gets the token."""
    if not core.settings.production or session.scalar(select(User.id).limit(1)) is not None:
        return None
    if not bootstrap.claim(session, bootstrap.ADMINISTRATOR):
        return None
    session.execute(update(User).where(User.username == bootstrap.ADMINISTRATOR).values(email=email))
    request = TokenRequest(name="first administrator")
    issued = bootstrap.first_token(session, core.keys.tokens[0], username=bootstrap.ADMINISTRATOR, request=request)
    made = Entry(
        credential="cli",
        username=operator_name(),
        action="create_user",
        resource=f"users/{bootstrap.ADMINISTRATOR}",
        decision="allowed",
        detail=f"the first administrator, with token {issued.token.id}",
    )
    append(session, core.keys.audit[0], [made])
    return issued.secret.text


def main() -> None:
    """The console script."""
    parser = argparse.ArgumentParser(prog="example-init", description="Create or migrate the database of Package Master.")
    parser.add_argument("--reset", action="store_true", help="drop every table first: ALL DATA IS LOST")
    parser.add_argument("--admin-email", help="the first administrator's e-mail address (production, first run)")
    arguments = parser.parse_args()
    settings = settings_or_exit()
    shown = log.redact(settings.sqlalchemy_url.render_as_string(hide_password=True))
    with explained("example-init"):
        token = _prepare(settings, arguments)
    print(f"The database is up to date: {shown}")
    if token is not None:
        print(f"The first administrator's token, shown this once (user {bootstrap.ADMINISTRATOR}, all scopes, 90 days):\n{token}")
        print(f"For a password to log in with: example-admin users set-password {bootstrap.ADMINISTRATOR}", file=sys.stderr)


def _prepare(settings: Settings, arguments: argparse.Namespace) -> str | None:
    try:
        return prepare(settings, reset=arguments.reset, email=arguments.admin_email)
    except Invalid as error:
        sys.exit(f"example-init: --admin-email: {error}")


if __name__ == "__main__":
    main()
