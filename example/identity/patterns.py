"""What a token may be limited to: resource patterns (a name, or a prefix with a trailing ``*``) and networks. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

RESOURCE_PATTERN = r"^[A-Za-z0-9@_][A-Za-z0-9@/._+-]{0,99}\*?$|^\*$"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def matches(patterns: Iterable[str], name: str) -> bool:
    """Whether any of ``patterns`` covers ``name``; no patterns at all means no limit."""
    patterns = tuple(patterns)
    return not patterns or any(_covers(pattern, name) for pattern in patterns)


def within(child: Iterable[str], parent: Iterable[str]) -> bool:
    """Whether everything that ``child`` covers, ``parent`` covers too. Empty covers everything."""
    child, parent = tuple(child), tuple(parent)
    if not parent:
        return True
    return bool(child) and all(any(_covers(wide, narrow) for wide in parent) for narrow in child)


def _covers(wide: str, narrow: str) -> bool:
    if wide.endswith("*"):
        return narrow.startswith(wide[:-1])
    return narrow == wide


@lru_cache(maxsize=1024)
def network(text: str) -> Network:
    """The network that ``text`` (an address or CIDR) names.

    Raises:
        ValueError: it names none, or has host bits set.
    """
    return ipaddress.ip_network(text)


def address_allowed(networks: Iterable[str], address: str | None) -> bool:
    """Whether ``address`` is in any of ``networks``; no networks means no limit, an unknown address is in none."""
    networks = tuple(networks)
    if not networks:
        return True
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None) or ip
    return any(mapped in network(text) for text in networks)


def networks_within(child: Iterable[str], parent: Iterable[str]) -> bool:
    """Whether every network of ``child`` lies in one of ``parent``. Empty covers everything."""
    child, parent = tuple(child), tuple(parent)
    if not parent:
        return True
    return bool(child) and all(any(_subnet(network(narrow), network(wide)) for wide in parent) for narrow in child)


def _subnet(narrow: Network, wide: Network) -> bool:
    if isinstance(narrow, ipaddress.IPv4Network) and isinstance(wide, ipaddress.IPv4Network):
        return narrow.subnet_of(wide)
    return isinstance(narrow, ipaddress.IPv6Network) and isinstance(wide, ipaddress.IPv6Network) and narrow.subnet_of(wide)
