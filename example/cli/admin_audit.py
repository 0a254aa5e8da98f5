"""``example-admin audit``: check that the audit is as it was written, take it elsewhere, cut off what is old."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

import orjson
import typer

from example.audit import pruning, reading
from example.audit.chain import AuditBroken
from example.audit.reading import AuditFilter
from example.audit.verify import verify as check
from example.cli.operating import Done, operating
from example.identity import inventory
from example.models import now

app = typer.Typer(help="The audit: verify, export, prune.", no_args_is_help=True)

PROGRAM = "example-admin audit"
HEAD = re.compile(r"(?:head )?([0-9]{1,18}):([0-9a-f]{64})")


@dataclass(frozen=True)
class _Head:
    seq: int
    hash: bytes


def _moment(text: str) -> datetime:
    """A day, or a moment; UTC unless it says otherwise."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no moment; write 2026-11-21 or 2026-11-21T12:00:00Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _head(text: str) -> _Head:
    """The head of an earlier run, as it was printed."""
    found = HEAD.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no head; it is what verify prints, like 4711:9f86d0…")
    return _Head(int(found[1]), bytes.fromhex(found[2]))


@app.command()
def verify(
    expect: Annotated[
        _Head | None,
        typer.Option(parser=_head, metavar="SEQ:HASH", help="A head that an earlier run printed and that was kept elsewhere."),
    ] = None,
) -> None:
    """Read every entry and check that none was changed, removed, moved or added.

    Prints the head. Keep it elsewhere: --expect finds even an older copy of the whole database.
    """
    expected = (expect.seq, expect.hash) if expect is not None else None
    started = time.perf_counter()
    with operating("audit verify") as operator:
        try:
            found = check(operator.database, operator.keys.audit, expect=expected, progress=_tell)
        except AuditBroken as broken:
            sys.exit(f"{PROGRAM} verify: BROKEN: {broken}")
    rate = found.entries / max(time.perf_counter() - started, 1e-6)
    print(f"{found.entries:,} entries ({found.first} to {found.last}) are as they were written; checked {rate:,.0f} a second")
    print(f"head {found.last}:{found.head_hash.hex()}")


@app.command()
def export(
    workspace: Annotated[str | None, typer.Option(help="Only of this workspace.")] = None,
    user: Annotated[str | None, typer.Option(help="Only of this user name.")] = None,
    token_id: Annotated[int | None, typer.Option(help="Only with this token.")] = None,
    action: Annotated[str | None, typer.Option(help="Only of this operation, like delete_package.")] = None,
    resource: Annotated[str | None, typer.Option(help="Only on this resource, like package/7.")] = None,
    decision: Annotated[Literal["allowed", "denied"] | None, typer.Option(help="Only these.")] = None,
    since: Annotated[datetime | None, typer.Option(parser=_moment, metavar="DATE", help="Only from this moment on (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(parser=_moment, metavar="DATE", help="Only before this moment (UTC).")] = None,
) -> None:
    """Write the entries to stdout, one JSON object a line, oldest first."""
    with operating("audit export") as operator:
        within = operator.read(lambda session: inventory.find_workspace(session, workspace).id) if workspace is not None else None
        wanted = AuditFilter(
            workspace_id=within,
            user=user,
            token_id=token_id,
            action=action,
            resource=resource,
            decision=decision,
            since=since,
            until=until,
        )
        for entry in reading.export(operator.database, wanted):
            sys.stdout.buffer.write(orjson.dumps(entry, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE))


@app.command()
def prune(
    before: Annotated[datetime, typer.Option(parser=_moment, metavar="DATE", help="What is older goes (UTC).")],
) -> None:
    """Delete the oldest entries and seal where the chain begins now. The service does so by itself: AUDIT_RETENTION_DAYS."""
    if before > now():
        raise typer.BadParameter(f"{before:%Y-%m-%d %H:%M} UTC is yet to come", param_hint="--before")
    with operating("audit prune") as operator:
        try:
            deleted = pruning.prune(operator.database, operator.keys.audit, before)
        except AuditBroken as broken:
            sys.exit(f"{PROGRAM} prune: BROKEN, so it stays as it is: {broken}")
        detail = orjson.dumps({"before": before, "deleted": deleted}, option=orjson.OPT_UTC_Z).decode()
        operator.change("prune_audit", lambda _: Done(None, "audit", detail=detail))
    print(f"deleted {deleted:,} entries older than {before:%Y-%m-%d %H:%M} UTC")


def _tell(done: int, of: int) -> None:
    if _terminal():
        print(f"\r{done:,} of {of:,} entries", end="\n" if done == of else "", file=sys.stderr, flush=True)


def _terminal() -> bool:
    return sys.stderr.isatty()
