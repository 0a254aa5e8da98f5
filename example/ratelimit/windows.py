"""The arithmetic of sliding windows, and what an answer says about them. Pure.

The counter of ``limits``' strategy "sliding window counter": a fixed window and the one before it, which weighs as much as of it still lies
within one window's length from now. Only the library's forecast (``get_window_stats``) is not used: it says when some fraction of a hit
expires, and ``Retry-After`` has to say when a whole one fits.
"""

from __future__ import annotations

import time
from math import ceil, floor
from typing import NamedTuple

from example.ratelimit.policies import Policy


class Window(NamedTuple):
    """What counting one hit came to.

    ``reset``: seconds until more hits fit: when none remains until the next one does, else until the current window ends.
    """

    allowed: bool
    limit: int
    remaining: int
    reset: float
    policy: Policy

    @property
    def wait(self) -> int:
        """Whole seconds after which there is more, at least 1: ``Retry-After``."""
        return floor(self.reset) + 1


def used(previous: int, current: int, left: float, seconds: int) -> int:
    """How many hits count now. ``left``: seconds of the current window, which ``current`` hits are in; ``previous``: of that before."""
    return floor(previous * left / seconds) + current


def window_of(policy: Policy, previous: int, current: int, left: float, *, allowed: bool) -> Window:
    """What is known after a hit, which ``current`` includes if it was allowed."""
    amount, seconds = policy.amount, policy.seconds
    remaining = max(0, amount - used(previous, current, left, seconds))
    return Window(allowed, amount, remaining, left if remaining else _until_one_fits(amount, seconds, previous, current, left), policy)


def _until_one_fits(amount: int, seconds: int, previous: int, current: int, left: float) -> float:
    """Seconds until ``used`` is below ``amount``: when enough of the previous window has gone, or else of this one, once it is that."""
    if current < amount:
        return max(0.0, left - (amount - current) * seconds / previous)
    return left + seconds - amount * seconds / current


def headers_of(window: Window) -> dict[str, str]:
    """The headers that tell a client: RateLimit fields (draft-ietf-httpapi-ratelimit-headers), and those that GitHub made usual, whose
    reset is in seconds since 1970.
    """
    policy, limit, remaining = window.policy, window.limit, window.remaining
    headers = {
        "RateLimit-Policy": f'"{policy.name}";q={limit};w={policy.seconds}',
        "RateLimit": f'"{policy.name}";r={remaining};t={window.wait}',
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(ceil(time.time() + window.reset)),
    }
    if not window.allowed:
        headers["Retry-After"] = str(window.wait)
    return headers
