"""Sliding windows in memory: what fits, what remains, when more does; and that memory is bounded."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits.storage import MemoryStorage, memory
from limits.strategies import SlidingWindowCounterRateLimiter

from example.ratelimit.counters import Counters
from example.ratelimit.policies import Policy
from example.ratelimit.windows import Window, headers_of, used
from tests.ratelimit.conftest import Clock

WINDOW = 60
amounts = st.integers(1, 8)
pauses = st.lists(st.integers(0, 240).map(lambda quarters: quarters / 4), max_size=80)


def per_minute(amount: int) -> Policy:
    made = Policy.of("test", f"{amount}/minute")
    assert made is not None
    return made


@given(amounts, pauses)
def test_never_more_than_the_limit_in_a_window_nor_by_weight(amount: int, pauses: list[float]) -> None:
    clock, policy = Clock(), per_minute(amount)
    counters, let_in = Counters(clock), dict[int, int]()
    for pause in pauses:
        clock.go_on(pause)
        number, into = divmod(clock.moment, WINDOW)
        before, now = let_in.get(int(number) - 1, 0), let_in.get(int(number), 0)
        fits = before * (1 - Fraction(into) / WINDOW) + now < amount
        assert counters.hit(policy, "x").allowed == fits
        let_in[int(number)] = now + fits
    assert max(let_in.values(), default=0) <= amount


@given(amounts, pauses)
def test_remaining_is_what_still_fits_at_this_moment(amount: int, pauses: list[float]) -> None:
    clock, policy = Clock(), per_minute(amount)
    counters = Counters(clock)
    for pause in pauses:
        clock.go_on(pause)
        counters.hit(policy, "x")
    remaining = counters.hit(policy, "x").remaining
    assert sum(counters.hit(policy, "x").allowed for _ in range(amount + 1)) == remaining


@given(amounts, pauses)
def test_whoever_waits_as_told_is_let_in_and_nobody_sooner(amount: int, pauses: list[float]) -> None:
    clock, policy = Clock(), per_minute(amount)
    counters = Counters(clock)
    for pause in pauses:
        clock.go_on(pause)
        counters.hit(policy, "x")
    window = counters.hit(policy, "x")
    while window.allowed:
        window = counters.hit(policy, "x")
    if window.reset > 0.01:
        clock.go_on(window.reset - 0.01)
        assert not counters.hit(policy, "x").allowed
        clock.go_on(0.01 - window.reset)
    clock.go_on(window.wait)
    assert counters.hit(policy, "x").allowed


def test_it_decides_as_the_librarys_own_storage_does() -> None:
    clock, policy = Clock(), per_minute(5)
    ours = Counters(clock)
    with mock.patch.object(memory, "time", SimpleNamespace(time=clock)):
        storage = MemoryStorage()
        theirs = SlidingWindowCounterRateLimiter(storage)
        decisions = []
        for pause in (0, 1, 2, 3, 4, 5, 30, 7.3, 7.3, 7.3, 7.3, 7.3, 31, 0.1, 0.1, 0.1, 90, 0.1, 0.1, 300, 1):
            clock.go_on(pause)
            decisions.append((ours.hit(policy, "x").allowed, theirs.hit(policy.limit, "x")))
        storage.timer.cancel()
    assert [one for one, _ in decisions] == [other for _, other in decisions]
    assert {one for one, _ in decisions} == {True, False}


def test_the_window_before_fades(clock: Clock) -> None:
    counters, policy = Counters(clock), per_minute(4)
    for _ in range(4):
        counters.hit(policy, "x")
    clock.go_on(WINDOW)
    assert not counters.hit(policy, "x").allowed
    clock.go_on(WINDOW / 2)
    assert [counters.hit(policy, "x").allowed for _ in range(3)] == [True, True, False]


def test_a_window_long_gone_counts_no_more(clock: Clock) -> None:
    counters, policy = Counters(clock), per_minute(1)
    counters.hit(policy, "x")
    clock.go_on(2 * WINDOW)
    assert counters.hit(policy, "x").allowed


def test_a_clock_that_is_set_back_makes_no_window_longer(clock: Clock) -> None:
    counters, policy = Counters(clock), per_minute(1)
    counters.hit(policy, "x")
    clock.go_on(-3600)
    assert counters.hit(policy, "x").reset <= 2 * WINDOW


def test_subjects_and_policies_are_counted_apart(clock: Clock) -> None:
    counters = Counters(clock)
    one, other = Policy.of("one", "1/minute"), Policy.of("other", "1/minute")
    assert one is not None and other is not None
    keys = [(one, one.key("x")), (one, one.key("y")), (other, other.key("x"))]
    assert [counters.hit(policy, key).allowed for policy, key in keys] == [True, True, True]


def test_of_too_many_subjects_the_oldest_window_is_forgotten(clock: Clock) -> None:
    counters, policy = Counters(clock, most=2), per_minute(1)
    for key in ("a", "b", "c"):
        counters.hit(policy, key)
    assert {slot[0] for slot in counters.due()} == {"b", "c"}
    assert not counters.hit(policy, "c").allowed
    assert counters.hit(policy, "a").allowed


def test_a_new_window_makes_a_subject_young_again(clock: Clock) -> None:
    counters, policy = Counters(clock, most=2), per_minute(1)
    counters.hit(policy, "a")
    counters.hit(policy, "b")
    clock.go_on(2 * WINDOW)
    counters.hit(policy, "a")
    counters.hit(policy, "c")
    assert not counters.hit(policy, "a").allowed


def test_windows_that_are_over_leave_memory_when_others_come(clock: Clock) -> None:
    counters, policy = Counters(clock), per_minute(1)
    for n in range(10):
        counters.hit(policy, f"old {n}")
    clock.go_on(2 * WINDOW)
    for n in range(10):
        counters.hit(policy, f"new {n}")
    assert len(counters._counts) == 10


def test_hits_that_no_database_took_in_time_are_forgotten(clock: Clock) -> None:
    counters = Counters(clock)
    counters.hit(per_minute(1), "x")
    clock.go_on(2 * WINDOW)
    assert counters.due() == {} and not counters.dirty()


def test_hits_during_adding_up_are_added_up_next(clock: Clock) -> None:
    counters, policy = Counters(clock), per_minute(5)
    counters.hit(policy, "x")
    written = counters.due()
    counters.hit(policy, "x")
    ((key, number, _),) = written
    counters.settle(written, {(key, number): 3})
    assert list(counters.due().values()) == [1]
    assert counters.hit(policy, "x").remaining == 0


def test_what_is_cleared_begins_anew(clock: Clock) -> None:
    counters, policy = Counters(clock), per_minute(1)
    counters.hit(policy, "x")
    counters.clear("x")
    counters.clear("nobody")
    assert not counters.dirty()
    assert counters.hit(policy, "x").allowed


def test_what_was_forgotten_may_still_be_settled(clock: Clock) -> None:
    counters = Counters(clock)
    counters.hit(per_minute(1), "x")
    written = counters.due()
    counters.clear("x")
    counters.settle(written, {})
    assert not counters.dirty()


def refused(reset: float = 12.0) -> Window:
    return Window(False, 5, 0, reset, per_minute(5))


def test_headers_follow_the_draft() -> None:
    headers = headers_of(Window(True, 5, 3, 12.3, per_minute(5)))
    assert headers["RateLimit-Policy"] == '"test";q=5;w=60'
    assert headers["RateLimit"] == '"test";r=3;t=13'


def test_headers_are_also_those_of_github(clock: Clock) -> None:
    with mock.patch("time.time", clock):
        headers = headers_of(Window(True, 5, 3, 12.3, per_minute(5)))
    assert [headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")] == ["5", "3", str(1_800_000_900 + 13)]


def test_only_the_refused_are_told_to_wait() -> None:
    assert "Retry-After" not in headers_of(Window(True, 5, 0, 12, per_minute(5)))
    assert headers_of(refused())["Retry-After"] == "13"


def test_nobody_is_told_to_wait_for_no_time() -> None:
    assert headers_of(refused(reset=0.0))["Retry-After"] == "1"


@pytest.mark.parametrize(("left", "weight"), [(60, 10), (59.9, 9), (30, 5), (5.9, 0), (0, 0)])
def test_the_previous_window_weighs_what_is_left_of_it(left: float, weight: int) -> None:
    assert used(10, 2, left, 60) == weight + 2
