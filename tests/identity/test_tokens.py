"""The token format, by properties."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from example.errors import TokenMalformed
from example.identity import tokens
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
    pepper, wrong = tokens.derive_pepper("a"), tokens.derive_pepper("b")
    assert len({tokens.digest(pepper, one), tokens.digest(pepper, other), tokens.digest(wrong, one)}) == 3
    assert len(tokens.digest(pepper, one)) == 32
