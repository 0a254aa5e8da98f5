"""How column types are written in migrations."""

from __future__ import annotations

from typing import Any, Literal

from alembic.autogenerate.api import AutogenContext

from example.models.base import UtcDateTime


def render_item(kind: str, item: Any, _context: AutogenContext | None) -> str | Literal[False]:
    """Write our column types as SQLAlchemy's own, so that migrations never import code that may change later."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False
