"""``example-init``: create or migrate the database; in production, make the first administrator's token."""

from __future__ import annotations

import argparse

from sqlalchemy import select
from sqlalchemy.orm import Session

from example import log
from example.cli.starting import explained, settings_or_exit
from example.config import Settings
from example.core import Core, open_core
from example.identity import bootstrap
from example.identity.issuing import TokenRequest
from example.models import User


def prepare(settings: Settings, *, reset: bool = False) -> str | None:
    """Bring the database up to date; answers the first administrator's token when this made one (production, no user yet)."""
    core = open_core(settings, drop_all=reset)
    try:
        return core.database.transact(lambda session: _first_administrator(session, core))
    finally:
        core.close()


def _first_administrator(session: Session, core: Core) -> str | None:
    if not core.settings.production or session.scalar(select(User.id).limit(1)) is not None:
        return None
    request = TokenRequest(name="first administrator")
    first = bootstrap.claim(session, bootstrap.ADMINISTRATOR)  # of several that run at once, one
    return bootstrap.first_token(session, core.pepper, username=bootstrap.ADMINISTRATOR, request=request).secret.text if first else None


def main() -> None:
    """The console script."""
    parser = argparse.ArgumentParser(prog="example-init", description="Create or migrate the database of Package Master.")
    parser.add_argument("--reset", action="store_true", help="drop every table first: ALL DATA IS LOST")
    arguments = parser.parse_args()
    settings = settings_or_exit()
    shown = log.redact(settings.sqlalchemy_url.render_as_string(hide_password=True))
    with explained("example-init"):
        token = prepare(settings, reset=arguments.reset)
    print(f"The database is up to date: {shown}")
    if token is not None:
        print(f"The first administrator's token, shown this once (user {bootstrap.ADMINISTRATOR}, all scopes, 90 days):\n{token}")


if __name__ == "__main__":
    main()
