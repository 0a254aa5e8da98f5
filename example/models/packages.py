"""Tables of packages and of the jobs that work on them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from example.models.base import Base, BigId, UtcDateTime, now

STATUS = "status IN ('created', 'downloading', 'downloaded', 'activated', 'failed')"
STATE = "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')"


class Package(Base):
    """One (workspace, source, name, version) and how far it has come."""

    __tablename__ = "packages"
    __table_args__ = (
        UniqueConstraint("workspace_id", "source", "name", "version"),
        CheckConstraint(STATUS, name="status"),
        Index(None, "workspace_id", "id"),
        Index(None, "workspace_id", "status", "id"),
        Index(None, "workspace_id", "source", "id"),
        Index(None, "workspace_id", "name", "id"),
        {"sqlite_autoincrement": True},  # ids name GC roots: never use one twice
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    source: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16), default="created")
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    downloaded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    activated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    size: Mapped[int | None] = mapped_column(BigInteger)
    artifact: Mapped[str | None] = mapped_column(Text)
    outputs: Mapped[list[str] | None] = mapped_column(JSON)
    derivation: Mapped[str | None] = mapped_column(Text)
    pin: Mapped[str | None] = mapped_column(String(200))
    error: Mapped[str | None] = mapped_column(Text)
    task_id: Mapped[str | None] = mapped_column(String(36))


class PackageCount(Base):
    """How many packages there are by (workspace, source, status), kept in the transaction of each change: counting 100,000 rows takes
    long.
    """

    __tablename__ = "package_counts"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    source: Mapped[str] = mapped_column(String(16), primary_key=True)
    status: Mapped[str] = mapped_column(String(16), primary_key=True)
    packages: Mapped[int] = mapped_column(default=0)


class Job(Base):
    """One piece of background work as people see it. DBOS runs it; its workflow id is ``task_id``."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(STATE, name="state"),
        UniqueConstraint("task_id"),
        Index(None, "workspace_id", "id"),
        Index(None, "workspace_id", "state", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    task_id: Mapped[str] = mapped_column(String(36))
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    package_id: Mapped[int | None] = mapped_column(ForeignKey("packages.id", ondelete="SET NULL"), index=True)
    kind: Mapped[str] = mapped_column(String(32))
    label: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(16), default="queued")
    attempts: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    expected: Mapped[int] = mapped_column(default=0)
    phase: Mapped[str | None] = mapped_column(String(200))
    error: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class JobLog(Base):
    """A piece of a job's log, in the order of ``id``: readable from any host while the job runs."""

    __tablename__ = "job_logs"
    __table_args__ = (Index(None, "job_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(Text)
