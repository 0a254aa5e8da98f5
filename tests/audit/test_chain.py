"""The chain: what a hash covers, and that its form stays what it was."""

from __future__ import annotations

import pytest

from example.audit.chain import COLUMNS, GENESIS, Head, link, seal
from example.models import AuditEntry


def test_a_hash_covers_every_column_but_itself() -> None:
    assert set(COLUMNS) == set(AuditEntry.__table__.columns.keys()) - {"hash"}


def test_hashes_that_were_written_stay_right() -> None:
    digest = link(GENESIS, [1, None, "ä"])
    assert digest.hex() == "f8cc396e9c04c83aaa75728ba8bf9ebcb6695b4047b17caf276d0de44fec3a4e"


def test_seals_that_were_written_stay_right() -> None:
    assert seal(b"key", 2, b"\1", 1, b"\2").hex() == "8236cc57bde5fedc2d89ab9effb6020f34f4b5b750347a2e0ea2c04c860e8e59"


def test_a_number_and_its_text_hash_differently() -> None:
    assert link(GENESIS, [1]) != link(GENESIS, ["1"])


def test_an_entry_hashes_differently_after_another_one() -> None:
    assert link(GENESIS, [1]) != link(b"\1" * 32, [1])


@pytest.mark.parametrize("changed", [Head(8), Head(7, b"h"), Head(7, pruned_seq=1), Head(7, pruned_hash=b"h")], ids=repr)
def test_a_seal_covers_every_column_of_the_head(changed: Head) -> None:
    assert Head(7).sealed(b"key").mac != changed.sealed(b"key").mac


def test_nobody_without_the_key_can_seal() -> None:
    assert not Head(7).sealed(b"another").is_sealed([b"key"])
