"""What server-side commands say when they can't begin."""

from __future__ import annotations

import pytest

from example.cli.starting import explained
from example.errors import SchemaMismatch


def test_what_an_operator_can_mend_is_one_line() -> None:
    with pytest.raises(SystemExit, match="^example-init: a newer schema$"), explained("example-init"):
        raise SchemaMismatch("a newer schema")


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), explained("example-init"):
        raise ZeroDivisionError
