"""Tables of environments: generations, what is in them, and the journal of switches."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from example.models.base import Base, UtcDateTime, now


class Environment(Base):
    """A named place of one source where packages are active."""

    __tablename__ = "environments"
    __table_args__ = (UniqueConstraint("workspace_id", "source", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    source: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(64))
    generation: Mapped[int | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class Generation(Base):
    """One state of an environment; ``number`` is the profile's own, ``store_path`` what its link points to."""

    __tablename__ = "generations"
    __table_args__ = (UniqueConstraint("environment_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column()
    store_path: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class GenerationPackage(Base):
    """A package of a generation. Name, version and paths are kept, so that a rollback works when the package's row is gone."""

    __tablename__ = "generation_packages"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generations.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[str] = mapped_column(String(64))
    outputs: Mapped[list[str]] = mapped_column(JSON)
    package_id: Mapped[int | None] = mapped_column(ForeignKey("packages.id", ondelete="SET NULL"), index=True)


class Switch(Base):
    """The journal: what a change of an environment is about to do (open), or what became of it (``outcome``)."""

    __tablename__ = "switches"

    id: Mapped[int] = mapped_column(primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"), index=True)
    reason: Mapped[str] = mapped_column(String(200))
    store_path: Mapped[str] = mapped_column(Text)
    from_generation: Mapped[int | None] = mapped_column()
    members: Mapped[list[dict[str, object]]] = mapped_column(JSON)
    outcome: Mapped[str | None] = mapped_column(String(16))
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
