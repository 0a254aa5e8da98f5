"""Nix: how this service runs it, reads it and keeps its store.

Owns the configuration and environment of every Nix process, the pinned package sets, the resolver, the reading of build events, profiles,
the store and its lock. Knows nothing of packages' statuses, sources or HTTP.
"""
