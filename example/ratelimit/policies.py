"""Policies: what is limited and to how much; and subjects: whom a policy counts."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Self

from limits import RateLimitItem, parse

from example.config import Settings

LONGEST_SUBJECT = 100
_NOBODY = "unknown"  # no address: a Unix socket's peer


@dataclass(frozen=True)
class Policy:
    """At most ``amount`` hits of one subject in ``seconds`` seconds. ``limit`` says it as the library ``limits`` does."""

    name: str
    limit: RateLimitItem

    @classmethod
    def of(cls, name: str, text: str) -> Self | None:
        """The policy that a setting such as ``60/hour`` names; ``None``, which is turned off, when it is empty."""
        if not text:
            return None
        limit = parse(text)
        limit.namespace = name
        return cls(name, limit)

    @cached_property
    def amount(self) -> int:
        """Hits a window."""
        return self.limit.amount

    @cached_property
    def seconds(self) -> int:
        """Length of a window."""
        return self.limit.get_expiry()

    def key(self, subject: str) -> str:
        """Where the hits of ``subject`` are counted. With the limit in it: another limit counts anew."""
        return self.limit.key_for(subject)


@dataclass(frozen=True)
class Policies:
    """The policies of this installation. ``None`` is turned off."""

    anonymous: Policy | None
    authenticated: Policy | None
    search: Policy | None
    login: Policy | None
    pat: Policy | None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The policies that the settings name."""
        return cls(
            anonymous=Policy.of("anonymous", settings.rate_limit_anonymous),
            authenticated=Policy.of("authenticated", settings.rate_limit_authenticated),
            search=Policy.of("search", settings.rate_limit_search),
            login=Policy.of("login", settings.rate_limit_login),
            pat=Policy.of("pat", settings.rate_limit_pat),
        )


@lru_cache(maxsize=4096)
def address_subject(address: str | None) -> str:
    """Whom an address stands for: IPv4 by itself, also when it is mapped into IPv6; IPv6 by its /64, which is what one customer has."""
    try:
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return _NOBODY
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))


def login_subject(username: str, address: str | None) -> str:
    """Who tries to be ``username`` from ``address``. Only a digest of the name: people type passwords into the wrong field, and the subject
    is stored.
    """
    return f"{_digest(username)}@{address_subject(address)}"


def storable(subject: str) -> str:
    """``subject``, or a digest of one that no database column or Redis key should have to take."""
    return subject if len(subject) <= LONGEST_SUBJECT and subject.isprintable() else _digest(subject)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
