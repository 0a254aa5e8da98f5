"""The README's "For a team", typed as it stands in two terminals: the operator's, which serves in production, and the people's."""

from __future__ import annotations

import json
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.docs.checkout import Checkout
from tests.docs.pages import shell_blocks
from tests.docs.terminal import Terminal
from tests.service import ROOT

OPERATOR, ALICE, BOB, AUDIT = shell_blocks("For a team")
PASSWORDS = {"alice": "violet anchor paperclip", "bob": "seven lanterns drifting", "admin": "marble otter staircase"}
STARTED = "Application startup complete"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the section needs curl")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout.make(tmp_path / "checkout")


@pytest.fixture
def operator(checkout: Checkout) -> Iterator[Terminal]:
    terminal = Terminal(checkout.folder, checkout.env())
    yield terminal
    terminal.leave()


@pytest.fixture
def people(checkout: Checkout) -> Iterator[Terminal]:
    terminal = Terminal(checkout.folder, checkout.env())
    yield terminal
    terminal.leave()


def type_all(checkout: Checkout, terminal: Terminal, block: str, invitation: str = "") -> str:
    """Every line of a block, one by one; who is asked answers with the password of the person that the line names."""
    shown = []
    for line in checkout.as_typed(block).splitlines():
        password = next((secret for name, secret in PASSWORDS.items() if re.search(rf" {name}\b", line)), "")
        answers = {"Password": password, "Again": password, "Password again": password, "Invitation": invitation} if password else {}
        shown.append(terminal.type(line, answers, until=STARTED if " uvicorn " in line else None))
    return "".join(shown)


@pytest.mark.slow
@needs_curl
def test_a_team_is_set_up_as_typed_from_nothing(checkout: Checkout, operator: Terminal, people: Terminal) -> None:
    printed = type_all(checkout, operator, OPERATOR)
    first = re.search(r"pm_pat_\w{50}", printed)
    assert first is not None, "the first administrator's token"
    assert "'admin' has a new password" in printed
    assert "made the account 'alice'" in printed
    assert mode(checkout.folder / ".env") == 0o600

    printed = type_all(checkout, people, ALICE)
    assert "as alice (owner in genomics)" in printed
    invitation = re.search(r"pm_inv_\w{50}", printed)
    assert invitation is not None, printed
    assert mode(checkout.folder / "home/.config/package-master/credentials.json") == 0o600

    printed = type_all(checkout, people, BOB, invitation[0])
    assert "as bob (developer in genomics)" in printed
    assert "Downloaded hello v2.1.0" in printed
    assert "Activated hello v2.1.0" in printed

    printed = type_all(checkout, people, AUDIT)
    entries = json.loads(next(line for line in printed.splitlines() if line.startswith("[{")))
    by_ci = {entry["action"]: entry for entry in entries if entry["token_prefix"] and "audit:read" not in entry["scopes"]}
    assert {"create_package", "download_package", "activate_package"} <= set(by_ci)
    assert by_ci["activate_package"]["scopes"] == ["packages:publish", "environments:activate", "jobs:read"]
    assert by_ci["activate_package"]["username"] == "bob"
    assert re.search(r"[\d,]+ entries \(1 to \d+\) are as they were written", printed)

    everything = operator.shown + people.shown
    assert [name for name, secret in PASSWORDS.items() if secret in everything] == [], "passwords are typed unseen"
    assert answer_to(checkout, first[0], "/users/me")["is_admin"] is True


@pytest.mark.slow
def test_an_old_env_file_with_its_key_is_never_written_over(checkout: Checkout) -> None:
    (checkout.folder / ".env").write_text("SECRET_KEY=old\n")
    with pytest.raises(AssertionError, match="exists"):
        checkout.typed(OPERATOR.split("example-init")[0])
    assert (checkout.folder / ".env").read_text() == "SECRET_KEY=old\n"


def test_the_extra_that_the_section_names_is_there() -> None:
    assert '"keyring": KEYRING' in (ROOT / "setup.py").read_text(encoding="utf-8")


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def answer_to(checkout: Checkout, token: str, path: str) -> dict[str, object]:
    answer = httpx.get(f"{checkout.url}/api/v1{path}", headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    return dict(answer.raise_for_status().json())
