"""What the matrix leaves out: HEAD, other ways to name a workspace or none, and that what may not be seen is like what isn't there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator

import pytest
from fastapi import FastAPI

from example.config import Settings
from tests.authorisation.direct import Answer, call
from tests.authorisation.oracle import (
    ADMINISTRATOR,
    ALLOWED,
    INVISIBLE,
    NONE,
    PATS,
    SCOPES,
    SESSION,
    TABLE,
    About,
    Cell,
    Target,
    cells,
    expected,
    good_statuses,
)
from tests.authorisation.world import World, still_world

pytestmark = pytest.mark.usefixtures("hurried")
Check = Callable[[FastAPI, World], Awaitable[list[str]]]
ABSENT = {"package": "999999", "token": "999999", "job": "00000000-0000-4000-8000-000000000000", "workspace": "nowhere"}


@pytest.fixture
def wrong(matrix_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[Check], list[str]]:
    """What a check complains of."""

    async def inside(check: Check) -> list[str]:
        async with still_world(matrix_settings, monkeypatch) as (app, world):
            return await check(app, world)

    return lambda check: asyncio.run(inside(check))


def telling() -> Iterator[Cell]:
    """Of the matrix: sessions, anonymous callers, and Bearer with no scope and with all."""
    return (cell for cell in cells() if cell.credential not in PATS or (cell.credential == PATS[0] and cell.scopes in (NONE, SCOPES)))


def wanted(cell: Cell) -> set[int]:
    """The statuses that the oracle allows."""
    outcome = expected(cell)
    return good_statuses(cell) if outcome == ALLOWED else {int(outcome[:3])}


def test_head_is_answered_like_get_and_tells_nothing_more(wrong: Callable[[Check], list[str]]) -> None:
    async def check(app: FastAPI, world: World) -> list[str]:
        found = []
        for cell in telling():
            if cell.line.method == "GET":
                path, headers, _ = world.request(cell)
                answer = await call(app, "HEAD", path, headers)
                if answer.status not in wanted(cell) or answer.content:
                    found.append(f"HEAD for {cell}: {answer.status}")
        return found

    assert wrong(check) == []


def test_a_workspace_that_the_query_names_is_as_one_that_the_header_names(wrong: Callable[[Check], list[str]]) -> None:
    async def check(app: FastAPI, world: World) -> list[str]:
        found = []
        for cell in telling():
            path, headers, body = world.request(cell)
            named = next((value.decode() for name, value in headers if name == b"x-workspace"), None)
            if named is not None:
                others = [header for header in headers if header[0] != b"x-workspace"]
                asked = f"{path}{'&' if '?' in path else '?'}workspace={named}"
                answer = await call(app, cell.line.method, asked, others, body)
                if answer.status not in wanted(cell):
                    found.append(f"{cell}, with ?workspace={named}: {answer.status}, not {wanted(cell)}")
        return found

    assert wrong(check) == []


def test_a_session_that_names_no_workspace_sees_nothing_of_default_unless_it_is_a_members(wrong: Callable[[Check], list[str]]) -> None:
    async def check(app: FastAPI, world: World) -> list[str]:
        found = []
        for cell in telling():
            if cell.credential == SESSION and cell.caller != ADMINISTRATOR and cell.line.scope and not cell.line.of_account:
                path, headers, body = world.request(cell)
                answer = await call(app, cell.line.method, path, headers[:1], body)
                if answer.status != 404:
                    found.append(f"{cell}, with no workspace named: {answer.status}")
        return found

    assert wrong(check) == []


def test_what_a_caller_may_not_see_is_answered_like_what_is_not_there(wrong: Callable[[Check], list[str]]) -> None:
    async def check(app: FastAPI, world: World) -> list[str]:
        found = []
        for cell in (Cell(line, Target.OTHER, caller, SCOPES, PATS[0]) for line in TABLE for caller in ("viewer", "owner")):
            if cell.line.about in (About.ROW, About.TOKEN, About.WORKSPACE, About.MEMBER) and expected(cell) == INVISIBLE:
                path, headers, body = world.request(cell)
                absent = re.sub("<([a-z]+)>", lambda name: ABSENT.get(name[1], "stranger"), cell.line.path)
                hidden, missing = [await call(app, cell.line.method, one, headers, body) for one in (path, absent)]
                if plain(hidden, path) != plain(missing, absent):
                    found.append(f"{cell}: {hidden.content!r}, and of what isn't there {missing.content!r}")
        return found

    assert wrong(check) == []


def plain(answer: Answer, path: str) -> tuple[int, str]:
    """An answer without what it was asked for and the request's id."""
    text = re.sub('"request_id":"[0-9a-f]+"', "", answer.content.decode())
    for part in path.split("/")[4:5]:  # /api/v1/package/7/…
        text = re.sub(rf"\b{re.escape(part)}\b", "…", text)
    return answer.status, text
