"""The counters of all processes, in the table ``rate_windows``: adding up, strict hits, forgetting. The caller commits."""

from __future__ import annotations

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.orm import Session

from example.db import insert_for
from example.models.audit import RateWindow
from example.ratelimit.counters import Slot, Slots, Totals, ends_at
from example.ratelimit.policies import Policy
from example.ratelimit.windows import Window, used, window_of

PURGED_AT_ONCE = 5000


def add_up(session: Session, *, slots: Slots) -> Totals:
    """Add hits, and answer everybody's hits of the same keys.

    The rows are this transaction's from here on, taken in one order by every process, so that no two wait for each other.
    """
    rows = [{"key": slot[0], "number": slot[1], "hits": slots[slot], "ends_at": ends_at(slot)} for slot in sorted(slots)]
    insert = insert_for(session)(RateWindow)
    together = {"hits": RateWindow.hits + insert.excluded.hits}
    session.execute(insert.on_conflict_do_update(index_elements=[RateWindow.key, RateWindow.number], set_=together), rows)
    found = select(RateWindow.key, RateWindow.number, RateWindow.hits).where(RateWindow.key.in_({row["key"] for row in rows}))
    return {(key, number): hits for key, number, hits in session.execute(found)}


def hit_strictly(session: Session, *, policy: Policy, slot: Slot, left: float, slots: Slots) -> tuple[Window, Totals]:
    """Add up ``slots``, ``slot`` among them, and count one hit in it, if it fits: of any number at once, no more than the limit are let in.
    ``left``: seconds of its window.
    """
    key, number, seconds = slot
    totals = add_up(session, slots=slots)  # holds the row until the commit
    previous = totals.get((key, number - 1), 0)
    allowed = used(previous, totals[key, number], left, seconds) < policy.amount
    if allowed:
        totals[key, number] += 1
        session.execute(update(RateWindow).where(RateWindow.key == key, RateWindow.number == number).values(hits=totals[key, number]))
    return window_of(policy, previous, totals[key, number], left, allowed=allowed), totals


def clear(session: Session, *, key: str) -> None:
    """Forget the hits of ``key``."""
    session.execute(delete(RateWindow).where(RateWindow.key == key))


def purge(session: Session, *, moment: float) -> bool:
    """Delete some of the rows that nothing depends on any more; whether there may be more of them."""
    row = tuple_(RateWindow.key, RateWindow.number)
    over = select(RateWindow.key, RateWindow.number).where(RateWindow.ends_at <= int(moment)).limit(PURGED_AT_ONCE)
    gone = session.execute(
        delete(RateWindow).where(row.in_(over)).returning(RateWindow.number), execution_options={"synchronize_session": False}
    )
    return len(gone.all()) == PURGED_AT_ONCE
