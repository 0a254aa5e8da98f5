"""The token format, by properties."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from example.errors import TokenMalformed
from example.identity import tokens
from example.identity.keys import derive_keys
from tests.nixstore import unhurried

positions = st.integers(0, len(tokens.mint().text) - 1)
characters = st.one_of(st.sampled_from(tokens.ALPHABET), st.characters())


def test_a_minted_token_can_be_read_back() -> None:
    minted = tokens.mint()
    assert tokens.parse(minted.text) == minted


def test_the_published_pattern_finds_a_token_in_a_text() -> None:
    minted = tokens.mint()
    assert re.search(tokens.TOKEN_PATTERN, f"export PKGCTL_TOKEN='{minted.text}'\n")


def test_no_two_tokens_are_the_same() -> None:
    assert len({tokens.mint().text for _ in range(1000)}) == 1000


@unhurried
@given(position=positions, character=characters)
def test_any_single_changed_character_is_noticed(position: int, character: str) -> None:
    text = tokens.mint().text
    changed = text[:position] + character + text[position + 1 :]
    if changed != text:
        with pytest.raises(TokenMalformed):
            tokens.parse(changed)


@unhurried
@given(position=positions)
def test_two_swapped_neighbours_are_noticed(position: int) -> None:
    text = tokens.mint().text
    swapped = text[:position] + text[position : position + 2][::-1] + text[position + 2 :]
    if swapped != text:
        with pytest.raises(TokenMalformed):
            tokens.parse(swapped)


@unhurried
@given(text=st.one_of(st.text(), st.from_regex(r"pm_pat_[0-9A-Za-z]{50}\s?")))
def test_any_other_text_is_malformed_and_nothing_worse(text: str) -> None:
    with pytest.raises(TokenMalformed):
        tokens.parse(text)


def test_a_secret_never_shows_itself() -> None:
    minted = tokens.mint()
    assert minted.text not in repr(minted) and minted.text not in f"{[minted]}"


def test_the_shown_prefix_has_eight_characters_of_the_public_id_and_none_of_the_secret() -> None:
    minted = tokens.mint()
    assert tokens.prefix(minted.public_id) == minted.text[: len("pm_pat_") + 8]


def test_the_digest_depends_on_the_key_and_on_every_part_of_the_token() -> None:
    one, other = tokens.mint(), tokens.mint()
    pepper, wrong = derive_keys("a").tokens[0], derive_keys("b").tokens[0]
    assert len({tokens.digest(pepper, one), tokens.digest(pepper, other), tokens.digest(wrong, one)}) == 3
    assert len(tokens.digest(pepper, one)) == 32


@pytest.mark.parametrize("kind", [tokens.REFRESH, tokens.INVITATION])
def test_each_kind_is_read_as_itself_only(kind: str) -> None:
    minted = tokens.mint(kind)
    assert tokens.parse(minted.text, kind) == minted
    assert re.search(tokens.TOKEN_PATTERN, f"'{minted.text}'")
    assert minted.text not in repr(minted)
    with pytest.raises(TokenMalformed, match=f"this is a[n]? .*{tokens.NAMES[kind]}, not a token"):
        tokens.parse(minted.text)


def test_another_token_of_the_same_row_has_its_public_id() -> None:
    first = tokens.mint(tokens.REFRESH)
    second = tokens.mint(tokens.REFRESH, public_id=first.public_id)
    assert second.public_id == first.public_id and second.text != first.text
    assert tokens.parse(second.text, tokens.REFRESH) == second


def test_a_digest_is_recognised_under_each_of_the_keys() -> None:
    minted, (new, old) = tokens.mint(), derive_keys("new", "old").tokens
    assert tokens.is_digest(tokens.digest(old, minted), (new, old), minted)
    assert not tokens.is_digest(tokens.digest(old, minted), (new,), minted)
    assert not tokens.is_digest(None, (new, old), minted)
