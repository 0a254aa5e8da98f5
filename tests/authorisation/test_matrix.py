"""Every operation, by every caller, with every scope set, on every target, with every credential: as the oracle says, and nothing else."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pytest
from fastapi import FastAPI
from starlette.routing import Mount, Route

from example.app import create_app
from example.config import Settings
from tests.authorisation.direct import Answer, call
from tests.authorisation.oracle import (
    ADMINISTRATOR,
    ALLOWED,
    NONE,
    PATS,
    SCOPES,
    TABLE,
    Cell,
    cells,
    expected,
    good_statuses,
)
from tests.authorisation.world import SECRET, still_world

SHOWN = 20
STRIDE = 11
"""PostgreSQL looks each credential up in a thread. So there, of tokens, only every 11th cell, which is prime to the 3 · 29 of a caller:
all of them come up. And all of those with a Bearer that has no scope, the very scope, or every one; all sessions; all anonymous callers.
"""


@dataclass
class Outcome:
    """What came of the cells; ``wrong`` ones by what they have in common, each with its first."""

    count: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    wrong: dict[tuple[object, ...], list[str]] = field(default_factory=dict)

    def take(self, cell: Cell, answer: Answer) -> None:
        """Compare an answer with the oracle."""
        self.count += 1
        wanted, got = expected(cell), f"{answer.status} {answer.code or ''}".strip()
        self.answers[wanted] += 1
        if not (answer.status in good_statuses(cell) if wanted == ALLOWED else got == wanted):
            self._complain(cell, f"expected {wanted}, got {got}", answer)
        elif b"there is nothing at" in answer.content:
            self._complain(cell, "the router knows no such path", answer)
        elif SECRET in answer.content and cell.caller != ADMINISTRATOR:
            self._complain(cell, "the answer tells of the other workspace", answer)

    def _complain(self, cell: Cell, what: str, answer: Answer) -> None:
        alike = cell.line.method, cell.line.path, cell.target, cell.caller, what
        self.wrong.setdefault(alike, []).append(f"{cell}: {what}: {answer.content[:300].decode(errors='replace')}")

    def __str__(self) -> str:
        total = sum(map(len, self.wrong.values()))
        shown = [f"{alike[0]} (and {len(alike) - 1} more by this caller)" for alike in list(self.wrong.values())[:SHOWN]]
        return "\n".join([f"{total} of {self.count} cells are not as the oracle says:", *shown])


async def ask(settings: Settings, chosen: Iterable[Cell], monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """Each cell's request, one after the other."""
    outcome = Outcome()
    async with still_world(settings, monkeypatch) as (app, world):
        for cell in chosen:
            path, headers, body = world.request(cell)
            outcome.take(cell, await call(app, cell.line.method, path, headers, body))
    return outcome


def sample() -> Iterator[Cell]:
    """The cells for PostgreSQL."""
    for number, cell in enumerate(cell for cell in cells() if cell.credential in PATS):
        telling = cell.credential == PATS[0] and cell.scopes in (NONE, SCOPES, (cell.line.scope,))
        if telling or number % STRIDE == 0:
            yield cell
    yield from (cell for cell in cells() if cell.credential not in PATS)


@pytest.mark.slow
@pytest.mark.no_cover  # it would take twice as long, and covers nothing that other tests don't
@pytest.mark.usefixtures("hurried")
def test_every_cell_of_the_authorisation_matrix_is_as_the_oracle_says(matrix_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    on_sqlite = matrix_settings.sqlalchemy_url.get_backend_name() == "sqlite"
    begun = time.monotonic()
    outcome = asyncio.run(ask(matrix_settings, cells() if on_sqlite else sample(), monkeypatch))
    took = time.monotonic() - begun
    print(f"\n{outcome.count} cells of the authorisation matrix in {took:.0f} s: {dict(outcome.answers)}")
    assert not outcome.wrong, str(outcome)
    assert outcome.count > 60_000 if on_sqlite else outcome.count > 10_000, outcome.count


def declared(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Each route and method of the app; HEAD is GET."""
    for route in app.routes:
        if isinstance(route, Mount):
            yield "GET", route.path
        else:
            assert isinstance(route, Route), f"the matrix doesn't know what to make of {route}"
            for method in (route.methods or set()) - {"HEAD"}:
                yield method, re.sub(r"\{[^}]*\}", "<>", route.path)


def test_the_matrix_knows_every_route_of_the_service_and_no_other() -> None:
    """A new route belongs into ``oracle.TABLE``, with who may use it."""
    known = {(line.method, re.sub("<[a-z]+>", "<>", line.path.partition("?")[0])) for line in TABLE}
    found = set(declared(create_app(Settings(_env_file=None))))
    assert (found - known, known - found) == (set(), set()), "routes that the oracle doesn't know, and lines without a route"
