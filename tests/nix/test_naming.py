"""Names and versions: what is one, and their order."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import VERSION_PATTERN as PEP_440

from example.nix.naming import NAME_PATTERN, VERSION_PATTERN, is_name, is_version, version_key
from tests.nixstore import unhurried

RELEASES = st.from_regex(
    re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}((a|b|rc)[0-9]{1,2})?(\.post[0-9])?(\.dev[0-9])?(\+[a-z0-9]{1,5})?"), fullmatch=True
)


@pytest.mark.parametrize("name", ["hello", "python3Packages.requests", "a1", "_x", "gtk+", "x-y_z", "a" * 50])
def test_attribute_paths_are_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "a" * 51,
        "1a",
        "-a",
        "--help",
        "a.",
        ".a",
        "a..b",
        "a.1",
        "a b",
        "${x}",
        'a"b',
        "a'b",
        "hello\n",
        "a\nb",
        "a/b",
        "é2",
        "x" * 10_000,
    ],
)
def test_nothing_else_is_a_name(name: str) -> None:
    assert not is_name(name)


@pytest.mark.parametrize("version", ["1", "2.1.0", "1!2.0", "1.0.0-rc.1+build.5", "5.2p26", "2.0~beta", "0.0.0", "9" * 64])
def test_what_starts_with_a_digit_and_stays_plain_is_a_version(version: str) -> None:
    assert is_version(version)


@pytest.mark.parametrize(
    "version", ["", "v1.0", "latest", "-1", "1 0", "1.0\n", "1!", "!1", "1!!2", "1;x", "1/2", "$(x)", "1" * 65, "\u0661.\u0660"]
)
def test_nothing_else_is_a_version(version: str) -> None:
    assert not is_version(version)


@unhurried
@given(RELEASES)
def test_every_release_of_pep_440_is_a_version(version: str) -> None:
    assert re.fullmatch(PEP_440, version, re.VERBOSE)
    assert is_version(version) == (len(version) <= 64)


@unhurried
@given(st.text(max_size=70))
def test_the_patterns_of_the_schema_and_the_check_agree(text: str) -> None:
    assert is_name(text) == (2 <= len(text) <= 50 and re.search(NAME_PATTERN.replace("$", r"\Z"), text) is not None)
    assert is_version(text) == (1 <= len(text) <= 64 and re.search(VERSION_PATTERN.replace("$", r"\Z"), text) is not None)


def test_versions_sort_as_people_read_them() -> None:
    ordered = ["1.0.dev1", "1.0pre2", "1.0alpha1", "1.0-beta", "1.0rc1", "1.0", "1.0a", "1.0.1", "1.2", "1.10", "5.2p26", "1!0.1"]
    assert sorted(ordered[6:] + ordered[:6], key=version_key) == ordered


@unhurried
@given(st.lists(st.text()))
def test_any_texts_can_be_sorted(texts: list[str]) -> None:
    sorted(texts, key=version_key)


def test_a_version_of_endless_digits_is_no_trouble() -> None:
    assert version_key("9" * 10_000) > version_key("1")
