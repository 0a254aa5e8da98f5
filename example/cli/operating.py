"""How ``example-admin`` works on accounts and tokens: one transaction for a change and its audit entry, refusals in one line, lists."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Generic, TypeVar

import orjson
from rich.console import Console
from rich.table import Table
from sqlalchemy.orm import Session

from example.audit.entries import Entry, append
from example.audit.verify import reseal
from example.cli.starting import explained, settings_or_exit
from example.db import Database
from example.errors import PackageMasterError, SchemaMismatch
from example.identity.actor import Actor
from example.identity.keys import Keys, check_keys, load_keys
from example.identity.roles import EVERYTHING, Role
from example.models import now
from example.models.schema import require_current

Result = TypeVar("Result")


@dataclass(frozen=True)
class Done(Generic[Result]):
    """What a change came to, and what its audit entry says of it."""

    result: Result
    resource: str
    workspace_id: int | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Operator:
    """The person at the server's own machine, with the service's database and keys."""

    database: Database
    keys: Keys

    def read(self, verb: Callable[[Session], Result]) -> Result:
        """Look something up."""
        with self.database.read() as session:
            return verb(session)

    def change(self, action: str, verb: Callable[[Session], Done[Result]]) -> Result:
        """Change something and write down that the operator did."""

        def work(session: Session) -> Result:
            check_keys(session, self.keys)
            reseal(session, self.keys.audit)
            done = verb(session)
            append(session, self.keys.audit[0], [_entry(action, done)])
            return done.result

        return self.database.transact(work)


@contextmanager
def operating(command: str) -> Iterator[Operator]:
    """The database as it is (nothing is migrated); ends the program with status 1 and one line when something is refused."""
    settings = settings_or_exit()
    program = f"example-admin {command}"
    with explained(program):
        if settings.sqlalchemy_url.get_backend_name() == "sqlite" and not os.path.exists(settings.sqlalchemy_url.database or ""):
            sys.exit(f"{program}: there is no database at {settings.sqlalchemy_url.database}; check DATA_DIR, or run: example-init")
        database = Database(settings)
        try:
            require_current(database)
            yield Operator(database, load_keys(settings))
        except SchemaMismatch:
            raise
        except PackageMasterError as error:
            sys.exit(f"{program}: {error}")
        finally:
            database.close()


def operator_name() -> str:
    """Who the operator is to the operating system; in a container there may be a number only."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def as_actor() -> Actor:
    """The operator where a verb asks who wants it: an administrator without an account."""
    return Actor(
        user_id=0,
        username=operator_name(),
        is_admin=True,
        workspace_id=0,
        workspace="",
        role=Role.OWNER,
        credential="session",
        label="operator",
        token_id=None,
        token_prefix=None,
        session_id=None,
        token_scopes=(),
        scopes=EVERYTHING,
        resources=(),
        allowed_ips=(),
        expires_at=now(),
    )


def show(rows: Sequence[Any], columns: Sequence[str], *, as_json: bool) -> None:
    """Print rows (frozen dataclasses of one kind): a table of ``columns``, or everything as JSON."""
    if as_json:
        print(orjson.dumps(rows, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2).decode())
        return
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_cell(getattr(row, column)) for column in columns))
    Console(soft_wrap=True, width=None if sys.stdout.isatty() else 400, markup=False, highlight=False).print(table)


def show_one(row: Any, *, as_json: bool) -> None:
    """Print one row: a line for each field, or JSON."""
    if as_json:
        print(orjson.dumps(row, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2).decode())
        return
    for one in fields(row):
        print(f"{one.name.replace('_', ' '):<14} {_cell(getattr(row, one.name))}")


def _entry(action: str, done: Done[Any]) -> Entry:
    return Entry(
        credential="cli",
        username=operator_name(),
        workspace_id=done.workspace_id,
        action=action,
        resource=done.resource,
        decision="allowed",
        detail=done.detail,
    )


def _cell(value: Any) -> str:
    match value:
        case None | False:
            return "-"
        case True:
            return "yes"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case list():
            return ", ".join(one if isinstance(one, str) else f"{one.name}:{one.role}" for one in value) or "-"
        case _:
            return str(value)
