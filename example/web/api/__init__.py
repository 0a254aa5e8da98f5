"""The operations, a router per domain."""
