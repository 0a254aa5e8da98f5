"""example-admin audit: says whether the audit is whole, gives it away, and cuts off what is old."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from example.audit.entries import Entry, append
from example.audit.reading import microseconds
from example.cli import admin, admin_audit
from example.config import Settings
from example.core import open_core
from example.models import AuditEntry
from tests.audit.written import tamper
from tests.service import environment_of

LONG_AGO = microseconds(datetime.now(UTC) - timedelta(days=400))


def audit(settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(admin.app, ["audit", *arguments], env=environment_of(settings))


def good(settings: Settings, *arguments: str) -> str:
    result = audit(settings, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def written(settings: Settings) -> Settings:
    """The settings of a database whose audit has two old entries and three new ones."""
    core = open_core(settings)
    some = [Entry(at=LONG_AGO, credential="none", action="old", decision="allowed") for _ in range(2)]
    some += [Entry(credential="pat", action="new", decision="denied", workspace_id=1, username="ada") for _ in range(3)]
    core.database.transact(lambda session: append(session, core.keys.audit[0], some))
    core.close()
    return settings


def broken(settings: Settings, *statements: str) -> None:
    core = open_core(settings)
    tamper(core.database, *statements)
    core.close()


def test_a_whole_audit_is_told_with_its_head(written: Settings) -> None:
    said = good(written, "verify")
    assert "5 entries (1 to 5) are as they were written" in said and "a second" in said
    head = said.splitlines()[-1]
    assert head.startswith("head 5:") and len(head) == len("head 5:") + 64
    for known in (head, head.removeprefix("head ")):
        assert head in good(written, "verify", "--expect", known)


def test_an_empty_audit_is_whole(settings: Settings) -> None:
    open_core(settings).close()
    assert "0 entries" in good(settings, "verify")


def test_another_chain_than_the_expected_is_refused(written: Settings) -> None:
    result = audit(written, "verify", "--expect", f"5:{'0' * 64}")
    assert result.exit_code == 1 and "BROKEN: audit entry 5 has not the expected hash" in result.output


@pytest.mark.parametrize("head", ["5", "5:abc", f"x:{'0' * 64}", ""])
def test_what_is_no_head_is_wrong_usage(written: Settings, head: str) -> None:
    assert audit(written, "verify", "--expect", head).exit_code == 2


def test_a_changed_entry_is_named(written: Settings) -> None:
    broken(written, "UPDATE audit SET username = 'eve' WHERE seq = 4")
    result = audit(written, "verify")
    assert result.exit_code == 1 and "BROKEN: audit entry 4 was changed" in result.output


def test_the_progress_is_shown_on_a_terminal_only(written: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "of 5 entries" not in audit(written, "verify").stderr
    monkeypatch.setattr(admin_audit, "_terminal", lambda: True)
    assert "5 of 5 entries" in audit(written, "verify").stderr


def test_an_export_has_a_line_for_each_entry_that_is_wanted(written: Settings) -> None:
    assert [json.loads(line)["seq"] for line in good(written, "export").splitlines()] == [1, 2, 3, 4, 5]
    chosen = good(written, "export", "--workspace", "default", "--user", "ada", "--decision", "denied", "--since", "2020-01-01")
    assert [json.loads(line)["action"] for line in chosen.splitlines()] == ["new"] * 3
    assert good(written, "export", "--until", "2020-01-01T00:00:00+02:00") == ""


def test_an_export_of_a_workspace_that_is_not_there_is_refused(written: Settings) -> None:
    result = audit(written, "export", "--workspace", "absent")
    assert result.exit_code == 1 and "absent" in result.output


def test_what_is_old_is_cut_off_and_that_is_written_down(written: Settings) -> None:
    day = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    assert "deleted 2 entries" in good(written, "prune", "--before", day)
    assert "4 entries (3 to 6)" in good(written, "verify")
    last = json.loads(good(written, "export").splitlines()[-1])
    assert (last["action"], last["credential"]) == ("prune_audit", "cli")
    assert json.loads(last["detail"]) == {"before": f"{day}T00:00:00Z", "deleted": 2}


def test_a_broken_audit_stays_as_evidence(written: Settings) -> None:
    broken(written, "UPDATE audit SET username = 'eve' WHERE seq = 1")
    result = audit(written, "prune", "--before", f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}")
    assert result.exit_code == 1 and "BROKEN" in result.output


@pytest.mark.parametrize("moment", ["tomorrow", "2999-01-01"])
def test_a_moment_that_cannot_be_is_wrong_usage(written: Settings, moment: str) -> None:
    assert audit(written, "prune", "--before", moment).exit_code == 2


def test_the_keeper_prunes_after_the_retention(written: Settings) -> None:
    core = open_core(written)
    core._purge(datetime.now(UTC))
    with core.database.read() as session:
        assert list(session.scalars(select(AuditEntry.seq).order_by(AuditEntry.seq))) == [3, 4, 5]
    tamper(core.database, "UPDATE audit_head SET seq = 4")
    core._purge(datetime.now(UTC))  # says so in the log, and goes on
    core.close()
