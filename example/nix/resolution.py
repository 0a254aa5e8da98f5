"""What resolve.nix reports: which attribute of which pin a request means, or which versions there are.

Pure. The shape of each report is described in resolve.nix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Chosen:
    """What is going to be built. ``outputs`` are store paths, the main one first."""

    pin: str
    attribute: str
    derivation: str
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Available:
    """A version that there is."""

    version: str
    pin: str
    attribute: str


@dataclass(frozen=True)
class Resolution:
    """How far resolving came: ``opening`` a pin, ``matched`` an attribute, ``chosen`` a derivation, or only ``available`` others."""

    opening: str | None = None
    matched: str | None = None
    chosen: Chosen | None = None
    available: tuple[Available, ...] | None = None


def read_report(so_far: Resolution, report: Any) -> Resolution:
    """``so_far`` with one more report of the resolver.

    Raises:
        ValueError: it is none.
    """
    match report:
        case {"chosen": str(pin), "attribute": str(attribute), "derivation": str(derivation), "outputs": [*outputs]}:
            return replace(so_far, chosen=Chosen(pin, attribute, derivation, tuple(str(output["path"]) for output in outputs)))
        case {"available": [*entries]}:
            found = (Available(str(entry["version"]), str(entry["pin"]), str(entry["attribute"])) for entry in entries)
            return replace(so_far, available=tuple(found))
        case {"matched": str(), "attribute": str(attribute)}:
            return replace(so_far, matched=attribute)
        case {"opening": str(pin)}:
            return replace(so_far, opening=pin)
    raise ValueError(f"not a report of resolve.nix: {report!r}")
