"""Alembic migrations. Make one with ``make migration MESSAGE="…"``; they run by themselves at the start and with ``example-init``."""
