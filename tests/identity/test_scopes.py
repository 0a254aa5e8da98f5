"""The table of scopes, by properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from example.identity.scopes import LADDERS, MEANINGS, TOP_SCOPES, Scope, closure, family, implied

some = st.sets(st.sampled_from(list(Scope)))


@pytest.mark.parametrize(
    "ladder",
    [
        "workspaces: read<write<delete<admin",
        "users: read<write",
        "fcs: read<write<analyze",
        "packages: read<publish<delete<admin",
        "environments: read<write<activate",
        "jobs: read<cancel",
        "tokens: read<write<admin",
        "webhooks: read<write",
        "audit: read<export",
        "system: read<admin",
    ],
)
def test_each_family_is_this_ladder(ladder: str) -> None:
    name, _, rungs = ladder.partition(": ")
    assert [scope.value for scope in LADDERS[name]] == [f"{name}:{rung}" for rung in rungs.split("<")]


def test_every_scope_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Scope)


def test_the_top_scopes_give_everything() -> None:
    assert closure(TOP_SCOPES) == set(Scope)


@given(some)
def test_a_token_has_at_least_what_it_was_given(scopes: set[Scope]) -> None:
    assert scopes <= closure(scopes)


@given(some)
def test_climbing_down_twice_gives_nothing_more(scopes: set[Scope]) -> None:
    assert closure(closure(scopes)) == closure(scopes)


@given(some, some)
def test_more_scopes_never_give_less(scopes: set[Scope], more: set[Scope]) -> None:
    assert closure(scopes | more) == closure(scopes) | closure(more)


@given(some)
def test_no_scope_reaches_another_family(scopes: set[Scope]) -> None:
    assert {family(scope) for scope in closure(scopes)} == {family(scope) for scope in scopes}


@given(st.sampled_from(list(Scope)))
def test_a_scope_never_gives_a_higher_one(scope: Scope) -> None:
    rungs = LADDERS[family(scope)]
    assert not set(rungs[rungs.index(scope) + 1 :]) & set(implied(scope))


def test_a_scope_that_no_longer_exists_gives_nothing() -> None:
    assert closure(["packages:fly", "jobs:read"]) == {Scope.JOBS_READ}
