"""``example-admin``: what an operator does on the server's own machine, beside the API."""

from __future__ import annotations

import sys

import typer
from sqlalchemy import select

from example.cli import admin_audit, admin_tokens, admin_users
from example.cli.starting import explained, settings_or_exit
from example.config import Settings
from example.db import Database
from example.models import Package
from example.nix.runtime import NixRuntime
from example.nix.store import collect_garbage
from example.sources import make_sources

app = typer.Typer(help="Work on Package Master's database and storage, on the server's own machine.", no_args_is_help=True)
app.add_typer(admin_users.app, name="users")
app.add_typer(admin_tokens.app, name="tokens")
app.add_typer(admin_audit.app, name="audit")


@app.command()
def gc() -> None:
    """Free the space of packages that were deleted and of what no generation needs. Waits for builds and switches to end."""
    settings = settings_or_exit()
    with explained("example-admin gc"):
        _collect(settings)


def _collect(settings: Settings) -> None:
    runtime = NixRuntime.prepare(settings)
    rooted = _rooted(runtime)  # before the database is asked: what is recorded later can't be among them
    database = Database(settings)
    try:
        with database.read() as session:
            forgotten = rooted - set(session.scalars(select(Package.id)))
    finally:
        database.close()
    source = make_sources(settings)["nix"]
    for package_id in sorted(forgotten):
        source.forget(package_id)
    print(f"forgot {len(forgotten)} packages that are not recorded any more")
    print("waiting for running builds and switches to end …", file=sys.stderr, flush=True)
    collected = collect_garbage(runtime, lambda line: print(line, file=sys.stderr, flush=True))
    print(f"freed {collected.bytes or 0:,} bytes in {collected.paths or 0} store paths")


def _rooted(runtime: NixRuntime) -> set[int]:
    """The packages whose artifacts are kept: the roots' names begin with their ids."""
    return {int(head) for root in runtime.roots.iterdir() if (head := root.name.partition("-")[0]).isdigit()}


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
