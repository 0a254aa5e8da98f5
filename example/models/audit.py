"""Tables of the audit: the chained entries, the head of their chain, and the counters of rate limits."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from example.models.base import Base, BigId


class AuditEntry(Base):
    """One use of a credential, or one change. Append only; ``hash`` covers every other column and the entry before (audit/chain.py).

    Plain numbers and texts without foreign keys: an entry outlives what it names. ``at`` is in microseconds since 1970 (UTC).
    """

    __tablename__ = "audit"
    __table_args__ = (
        Index(None, "workspace_id", "seq"),
        Index(None, "user_id", "seq"),
        Index(None, "token_id", "seq"),
        Index(None, "at"),
    )

    seq: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    at: Mapped[int] = mapped_column(BigInteger)
    request_id: Mapped[str | None] = mapped_column(String(64))
    workspace_id: Mapped[int | None] = mapped_column()
    user_id: Mapped[int | None] = mapped_column()
    username: Mapped[str | None] = mapped_column(String(64))
    credential: Mapped[str] = mapped_column(String(16))
    token_id: Mapped[int | None] = mapped_column()
    token_prefix: Mapped[str | None] = mapped_column(String(24))
    scopes: Mapped[str | None] = mapped_column(Text)
    ip: Mapped[str | None] = mapped_column(String(45))
    agent: Mapped[str | None] = mapped_column(String(200))
    method: Mapped[str | None] = mapped_column(String(16))
    route: Mapped[str | None] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(64))
    resource: Mapped[str | None] = mapped_column(String(200))
    decision: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str | None] = mapped_column(String(64))
    required_scope: Mapped[str | None] = mapped_column(String(32))
    status: Mapped[int | None] = mapped_column()
    detail: Mapped[str | None] = mapped_column(Text)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class AuditHead(Base):
    """Where the chain begins and ends; one row, locked by whoever appends. ``mac`` seals it under a key that the database doesn't hold.

    The entries after ``pruned_seq`` up to ``seq`` are there; what was pruned is vouched for by ``pruned_hash``.
    """

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, default=0)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    pruned_seq: Mapped[int] = mapped_column(BigInteger, default=0)
    pruned_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    mac: Mapped[bytes] = mapped_column(LargeBinary(32))


class RateWindow(Base):
    """How often ``key`` (a policy and whom it counts) was used in the window number ``number`` (seconds since 1970 over its length)."""

    __tablename__ = "rate_windows"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    hits: Mapped[int] = mapped_column(default=0)
    ends_at: Mapped[int] = mapped_column(BigInteger, index=True)
