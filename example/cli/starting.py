"""What every server-side command does first: read the settings, or say in plain words which one is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from example.config import Settings
from example.core import refusal


def settings_or_exit() -> Settings:
    """The settings of the environment and ``.env``; ends the program with status 2 when they can't be used."""
    try:
        return Settings()
    except ValidationError as error:
        for problem in error.errors():
            field = ".".join(str(part) for part in problem["loc"]).upper()
            print(f"settings: {field + ': ' if field else ''}{problem['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        sys.exit(2)


@contextmanager
def explained(program: str) -> Iterator[None]:
    """Ends the program with status 1 and one line when an operator can mend what went wrong; a fault of ours keeps its traceback."""
    try:
        yield
    except Exception as error:
        if (why := refusal(error)) is None:
            raise
        sys.exit(f"{program}: {why}")
