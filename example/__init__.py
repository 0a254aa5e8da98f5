"""Package Master: publish, fetch and build, and activate packages behind scoped tokens."""

__version__ = "0.1.0"
