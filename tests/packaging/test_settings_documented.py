"""Every setting is in .env.example and docs/settings.md, with its real default."""

from __future__ import annotations

import re

import pytest
from dotenv import dotenv_values
from pydantic_core import PydanticUndefined

from example.config import Settings
from tests.packaging.paths import ROOT

SAMPLE = ROOT / ".env.example"
PAGE = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", PAGE, re.MULTILINE))
FIELDS = sorted(name.upper() for name in Settings.model_fields)


def default_of(setting: str) -> str | None:
    default = Settings.model_fields[setting.lower()].default
    assert default is not PydanticUndefined, f"{setting} has no default: nothing starts without it"
    return None if default is None else str(default).lower() if isinstance(default, bool) else str(default)


@pytest.mark.parametrize("setting", FIELDS)
def test_env_example_has_every_setting_with_its_default(setting: str) -> None:
    values = dotenv_values(SAMPLE, interpolate=False)
    if default_of(setting) is None:
        assert re.search(rf"^# {setting}=", SAMPLE.read_text(encoding="utf-8"), re.MULTILINE), f"add a line '# {setting}=' to .env.example"
    else:
        assert values.get(setting) == default_of(setting), f"add {setting}={default_of(setting)} to .env.example"


@pytest.mark.parametrize("setting", FIELDS)
def test_settings_page_has_every_setting_with_its_default(setting: str) -> None:
    assert setting in ROWS, f"add a row for {setting} to docs/settings.md: meaning, default, when to change it"
    if default := default_of(setting):
        assert ROWS[setting].startswith(f"`{default}`"), f"docs/settings.md: the default of {setting} is {default}"


def test_no_document_names_a_setting_that_is_gone() -> None:
    sampled = re.findall(r"^(?:# )?([A-Z][A-Z_]+)=", SAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(sampled) == FIELDS
    assert sorted(ROWS) == FIELDS


def test_a_copy_of_env_example_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in FIELDS:
        monkeypatch.delenv(setting, raising=False)
    assert Settings(_env_file=SAMPLE) == Settings(_env_file=None)
