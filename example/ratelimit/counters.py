"""Counters in this process's memory: what the database last said, others' hits included, and the hits since.

Counting is arithmetic on a dictionary, a few microseconds in the event loop, which is the only thread that may call anything here. What is
to be added up is handed out as ``Slots`` and comes back as ``Totals``; ``table.py`` does the adding.

Not a ``limits.storage.Storage``: six of its seven methods belong to other strategies, and its seventh decides alone, while strict policies
decide inside a transaction. A test compares the decisions with those of the library's own memory storage.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice

from example.ratelimit.policies import Policy
from example.ratelimit.windows import Window, used, window_of

MOST_SUBJECTS = 100_000
BATCH = 1000
FRESH_SECONDS = 1.0

Slot = tuple[str, int, int]  # key, number of the window, its seconds
Slots = dict[Slot, int]  # hits to add up
Totals = dict[tuple[str, int], int]  # hits by key and number, everybody's


class _Count:
    """The hits of one key, as far as they are known here, in the window ``number`` and in the one before."""

    __slots__ = ("current", "ends", "fresh_until", "number", "previous", "seconds")

    def __init__(self, number: int, seconds: int) -> None:
        self.seconds = seconds
        self.previous = self.current = 0
        self.fresh_until = 0.0
        self.begin(number)

    def begin(self, number: int) -> None:
        self.number, self.ends = number, (number + 1) * self.seconds

    def roll(self, moment: float) -> None:
        """Go on to the window of ``moment``."""
        number = int(moment // self.seconds)
        self.previous = self.current if number == self.number + 1 else 0
        self.current = 0
        self.begin(number)

    def left(self, moment: float) -> float:
        """Seconds of the window after ``moment``; a clock that was set back makes it no longer than it is."""
        return min(self.ends - moment, self.seconds)


class Counters:
    """Counts at most ``most`` subjects: of more, those whose windows began first are forgotten here, and known to the database only."""

    def __init__(self, clock: Callable[[], float] = time.time, most: int = MOST_SUBJECTS) -> None:
        self._clock = clock
        self._most = most
        self._counts: OrderedDict[str, _Count] = OrderedDict()  # oldest window first
        self._pending: Slots = {}

    def hit(self, policy: Policy, key: str) -> Window:
        """Count one hit, if it fits."""
        moment = self._clock()
        count = self._count(policy, key, moment)
        left = count.left(moment)
        allowed = used(count.previous, count.current, left, policy.seconds) < policy.amount
        if allowed:
            count.current += 1
            slot = (key, count.number, count.seconds)
            self._pending[slot] = self._pending.get(slot, 0) + 1
        return window_of(policy, count.previous, count.current, left, allowed=allowed)

    def refusal(self, policy: Policy, key: str) -> Window | None:
        """The answer to a hit that can't fit by what the database said within the last second: whoever hammers need not be looked up."""
        moment = self._clock()
        count = self._count(policy, key, moment)
        left = count.left(moment)
        if moment >= count.fresh_until or used(count.previous, count.current, left, policy.seconds) < policy.amount:
            return None
        return window_of(policy, count.previous, count.current, left, allowed=False)

    def slot(self, policy: Policy, key: str) -> tuple[Slot, float]:
        """Where a hit of this moment would be counted, and how many seconds of that window are left."""
        moment = self._clock()
        count = self._count(policy, key, moment)
        return (key, count.number, count.seconds), count.left(moment)

    def dirty(self) -> bool:
        """Whether there are hits to add up."""
        return bool(self._pending)

    def due(self) -> Slots:
        """Hits to add up next. Those whose windows no longer count, because the database was away for so long, are forgotten."""
        moment = self._clock()
        batch = dict(islice(self._pending.items(), BATCH))
        for slot in [slot for slot in batch if ends_at(slot) <= moment]:
            del batch[slot], self._pending[slot]
        return batch

    def due_of(self, slot: Slot) -> Slots:
        """Hits to add up before one more is counted in ``slot``, which is there even if it has none."""
        key, number, seconds = slot
        before = (key, number - 1, seconds)
        own = {before: self._pending[before]} if before in self._pending else {}
        return own | {slot: self._pending.get(slot, 0)}

    def settle(self, written: Slots, totals: Totals) -> None:
        """``written`` is committed, and ``totals`` is what the database said right after."""
        fresh_until = self._clock() + FRESH_SECONDS
        for slot, hits in written.items():
            rest = self._pending.pop(slot, 0) - hits
            if rest > 0:
                self._pending[slot] = rest
        for key, _, seconds in written:
            if (count := self._counts.get(key)) is None:
                continue
            current, before = (key, count.number, seconds), (key, count.number - 1, seconds)
            count.current = totals.get(current[:2], 0) + self._pending.get(current, 0)
            count.previous = totals.get(before[:2], 0) + self._pending.get(before, 0)
            count.fresh_until = fresh_until

    def clear(self, key: str) -> None:
        """Forget the hits of ``key``."""
        if (count := self._counts.get(key)) is not None:
            self._forget(key, count)
            del self._counts[key]

    def _count(self, policy: Policy, key: str, moment: float) -> _Count:
        count = self._counts.get(key)
        if count is not None and moment < count.ends:
            return count
        if count is None:
            count = self._counts[key] = _Count(int(moment // policy.seconds), policy.seconds)
            self._make_room(moment)
        else:
            count.roll(moment)
            self._counts.move_to_end(key)
        return count

    def _make_room(self, moment: float) -> None:
        oldest, count = next(iter(self._counts.items()))
        if len(self._counts) > self._most:
            self._forget(oldest, count)
            self._counts.popitem(last=False)
        elif count.ends + count.seconds <= moment:  # nothing depends on it any more
            self._counts.popitem(last=False)

    def _forget(self, key: str, count: _Count) -> None:
        for number in (count.number, count.number - 1):
            self._pending.pop((key, number, count.seconds), None)


def ends_at(slot: Slot) -> int:
    """When nothing depends on ``slot`` any more, in seconds since 1970: at the end of the window after it."""
    _, number, seconds = slot
    return (number + 2) * seconds
