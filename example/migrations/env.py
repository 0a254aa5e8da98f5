"""Alembic's entry: runs on the connection that ``example.models.schema`` holds under its lock."""

from __future__ import annotations

from alembic import context

from example.models import Base
from example.models.rendering import render_item

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_item=render_item,
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
