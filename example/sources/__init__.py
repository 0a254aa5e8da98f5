"""Sources: the ecosystems that packages come from, behind one small protocol."""

from __future__ import annotations

from example.config import Settings
from example.sources.nix import NixSource
from example.sources.protocol import (
    Artifact,
    BuildFailed,
    FetchKilled,
    FetchRequest,
    FetchTimeout,
    NoSpace,
    NotAvailable,
    Report,
    Source,
    SourceError,
    SourceUnavailable,
)

SOURCES = {
    NixSource.name: NixSource.from_settings,
}

__all__ = [
    "SOURCES",
    "Artifact",
    "BuildFailed",
    "FetchKilled",
    "FetchRequest",
    "FetchTimeout",
    "NoSpace",
    "NotAvailable",
    "Report",
    "Source",
    "SourceError",
    "SourceUnavailable",
    "make_sources",
]


def make_sources(settings: Settings) -> dict[str, Source]:
    """One of each source by its name; needs none of their tools.

    Raises:
        ValueError: a setting of a source can't be read.
    """
    return {name: make(settings) for name, make in SOURCES.items()}
