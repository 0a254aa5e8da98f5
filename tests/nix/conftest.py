"""Fixtures of the Nix tests."""

from tests.nixstore import nix_settings, nix_store

__all__ = ["nix_settings", "nix_store"]
