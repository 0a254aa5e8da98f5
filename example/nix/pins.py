"""Pins: the package sets that names are resolved in, first match first.

Owns the syntax of ``NIX_PINS`` and what stands in when it is empty. Does not open a set: resolve.nix does.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from example.config import Settings

DEMO_SET = Path(__file__).resolve().parent / "demo"
SYNTAX = "NIX_PINS is a comma-separated list of name=/absolute/path and name=https://…/set.tar.gz#sha256=…"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")
_URL = re.compile(r"(https?|file)://[^\s#]+")
_SHA256 = re.compile(r"sha256-[A-Za-z0-9+/]{43}=|[0-9a-fA-F]{64}|[0-9a-z]{52}")


@dataclass(frozen=True)
class Pin:
    """A package set under a name: at a ``path`` of this host, or at a ``url`` of a tarball with the ``sha256`` of its contents."""

    name: str
    path: str | None = None
    url: str | None = None
    sha256: str | None = None


DEMO = Pin("demo", path=str(DEMO_SET))


def parse_pins(text: str) -> tuple[Pin, ...]:
    """The pins of ``NIX_PINS``, in their order.

    ``sha256`` is the hash of the unpacked tarball, as ``nix-prefetch-url --unpack`` prints it, in base 32, base 16 or SRI.

    Raises:
        ValueError: naming the entry and what to write instead.
    """
    pins: list[Pin] = []
    for entry in (part.strip() for part in text.split(",")):
        if not entry:
            continue
        pin = _parse_entry(entry)
        if any(pin.name == other.name for other in pins):
            raise ValueError(f"NIX_PINS names {pin.name!r} twice; give every pin a name of its own")
        pins.append(pin)
    return tuple(pins)


def _parse_entry(entry: str) -> Pin:
    name, equals, place = entry.partition("=")
    if not equals or not place:
        raise ValueError(f"NIX_PINS entry {entry!r} has no '=' between a name and a place; {SYNTAX}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"NIX_PINS entry {entry!r}: the name takes up to 64 letters, digits and . _ + -; {SYNTAX}")
    if place.startswith("/"):
        if "#sha256=" in place or "\0" in place or "\n" in place:
            raise ValueError(f"NIX_PINS entry {entry!r}: a path takes no #sha256 and no line break; {SYNTAX}")
        return Pin(name, path=place)
    url, _, fragment = place.partition("#")
    if not _URL.fullmatch(url):
        raise ValueError(f"NIX_PINS entry {entry!r} names neither an absolute path nor an http(s) or file URL; {SYNTAX}")
    key, _, sha256 = fragment.partition("=")
    if key != "sha256" or not _SHA256.fullmatch(sha256):
        raise ValueError(f"NIX_PINS entry {entry!r} needs #sha256=… after its URL; get it with: nix-prefetch-url --unpack {url}")
    return Pin(name, url=url, sha256=sha256)


def pins_of(settings: Settings) -> tuple[Pin, ...]:
    """The pins in use: those of ``NIX_PINS``, else ``<nixpkgs>`` where ``NIX_PATH`` has it, else the bundled demo set.

    Raises:
        ValueError: from ``parse_pins``.
    """
    if pins := parse_pins(settings.nix_pins):
        return pins
    nixpkgs = find_nixpkgs(settings.nix_path)
    return (Pin("nixpkgs", path=nixpkgs),) if nixpkgs else (DEMO,)


def find_nixpkgs(nix_path: str) -> str | None:
    """Where ``<nixpkgs>`` is by a ``NIX_PATH`` (``nixpkgs=/path`` or a folder that holds ``nixpkgs``, first hit), or ``None``.

    Entries that are URLs or channels are passed over: pin those with a hash.
    """
    for entry in re.split(r":(?!//)", nix_path):
        prefix, equals, place = entry.partition("=")
        candidate = place if equals and prefix == "nixpkgs" else "" if equals else os.path.join(prefix, "nixpkgs") if prefix else ""
        if candidate.startswith("/") and os.path.exists(candidate):
            return candidate
    return None
