"""Resource patterns and networks: what a limited token covers, by properties."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from example.identity.patterns import RESOURCE_PATTERN, address_allowed, matches, network, networks_within, within

names = st.text("ab-", min_size=1, max_size=4)
patterns = st.lists(st.builds(lambda name, star: name + star, names, st.sampled_from(["", "*"])), max_size=3)
networks = st.lists(
    st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "192.0.2.0/24", "::/0", "2001:db8::/32", "2001:db8::1"]), max_size=3
)
addresses = st.sampled_from(["10.1.2.3", "10.1.9.9", "192.0.2.7", "2001:db8::1", "2001:db9::1", "::ffff:10.1.2.3"])


@given(patterns, patterns, names)
def test_a_child_never_covers_a_name_that_its_parent_does_not(child: list[str], parent: list[str], name: str) -> None:
    if within(child, parent) and matches(child, name):
        assert matches(parent, name)


@given(patterns)
def test_everything_is_within_itself_and_within_no_limit(some: list[str]) -> None:
    assert within(some, some) and within(some, [])


@given(patterns.filter(bool))
def test_no_limit_is_within_no_limited_token(parent: list[str]) -> None:
    assert not within([], parent)


@pytest.mark.parametrize(("pattern", "name", "covered"), [
    ("team-*", "team-a", True), ("team-*", "team-", True), ("team-*", "Team-a", False), ("team-*", "tea", False),
    ("hello", "hello", True), ("hello", "hello2", False), ("*", "anything", True), ("a_*", "ab", False), ("a%*", "ab", False),
])  # fmt: skip
def test_a_pattern_is_a_name_or_a_beginning(pattern: str, name: str, covered: bool) -> None:
    assert matches([pattern], name) is covered


@pytest.mark.parametrize("text", ["", "**", "a*b", "-x", "a b", "a\n", "a\0", "é", "a" * 101, "../x"])
def test_nothing_else_is_a_pattern(text: str) -> None:
    assert re.fullmatch(RESOURCE_PATTERN, text) is None


@given(networks, networks, addresses)
def test_a_child_is_never_allowed_where_its_parent_is_not(child: list[str], parent: list[str], address: str) -> None:
    if networks_within(child, parent) and address_allowed(child, address):
        assert address_allowed(parent, address)


@given(networks)
def test_networks_are_within_themselves_and_within_no_limit(some: list[str]) -> None:
    assert networks_within(some, some) and networks_within(some, [])


@pytest.mark.parametrize("address", [None, "", "unix", "fe80::1%eth0", "testclient"])
def test_an_address_that_is_none_is_in_no_network(address: str | None) -> None:
    assert not address_allowed(["10.0.0.0/8"], address)


def test_an_ipv4_address_that_came_over_ipv6_is_that_ipv4_address() -> None:
    assert address_allowed(["10.0.0.0/8"], "::ffff:10.9.9.9")


def test_without_networks_every_address_is_allowed() -> None:
    assert address_allowed([], None)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "nowhere", "", "1.2.3", "::g"])
def test_what_names_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        network(text)


def test_a_single_address_is_a_network_of_one() -> None:
    assert network("192.0.2.7") == ipaddress.ip_network("192.0.2.7/32")
