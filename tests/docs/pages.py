"""The pages for readers, and what can be taken out of them: sections, shell blocks, code and links."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

from tests.service import ROOT

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
OPERATIONS = ROOT / "docs/operations.md"
_FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def section(title: str, page: Path = README) -> str:
    """What a page says under a heading, up to the next one of the same depth."""
    return text_of(page).split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def shell_blocks(title: str, page: Path = README) -> list[str]:
    """The ``sh`` blocks of a section, as a reader copies them."""
    return [dedent(code) for language, code in _FENCED.findall(section(title, page)) if language == "sh"]


def code_of(page: Path) -> list[str]:
    """Everything that a page sets as code: blocks and spans."""
    text = text_of(page)
    return [code for _, code in _FENCED.findall(text)] + re.findall(r"`([^`\n]+)`", _FENCED.sub("", text))


def links_of(page: Path) -> list[str]:
    """The targets of a page's links."""
    return [target.replace("\\", "") for target in re.findall(r"\]\(([^)\s]+)\)", _FENCED.sub("", text_of(page)))]
