"""Alembic migrations: they run at every start and with ``example-init``. ``make migration MESSAGE="…"`` writes the next one."""
