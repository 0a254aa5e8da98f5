"""A server that can't start says why in one line, whatever is wrong; a fault of ours keeps its traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from example.config import Settings
from example.errors import SchemaMismatch
from example.web.plain_start import PlainStart
from tests.service import environment_of, free_port


def lines_of_a_start(settings: Settings, folder: Path, **wrong: str) -> list[str]:
    """What ``uvicorn example.server:app`` prints before it gives up."""
    argv = [sys.executable, "-m", "uvicorn", "example.server:app", "--port", str(free_port())]
    done = subprocess.run(argv, env=environment_of(settings) | wrong, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    return [line for line in done.stderr.splitlines() if not line.startswith("INFO")]


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"NIX_PINS": "foo"}, "NIX_PINS is a comma-separated list"),
        ({"DATABASE_URL": "postgresql://127.0.0.1:1/db"}, "the database can't be used"),
        ({"DATA_DIR": "/proc/nope"}, "/proc/nope"),
        ({"THREADS": "abc"}, "THREADS"),
        ({"DATABASE_URL": "postgresql://host:notaport/db"}, "DATABASE_URL"),
    ],
)
def test_a_wrong_setting_is_said_in_one_or_two_lines(settings: Settings, tmp_path: Path, wrong: dict[str, str], said: str) -> None:
    lines = lines_of_a_start(settings, tmp_path, **wrong)
    assert said in "\n".join(lines)
    assert len(lines) <= 2, lines


async def start(error: Exception) -> list[Message]:
    """What the middleware passes on of a start that fails with ``error``."""
    sent: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            raise error
        except Exception:
            await send({"type": "lifespan.startup.failed", "message": "Traceback …"})
            raise

    async def keep(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    await PlainStart(app)({"type": "lifespan"}, receive, keep)
    return sent


@pytest.mark.anyio
async def test_what_an_operator_can_mend_replaces_the_traceback() -> None:
    assert (await start(SchemaMismatch("a newer schema")))[0]["message"] == "can't start: a newer schema"


@pytest.mark.anyio
async def test_a_fault_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        await start(ZeroDivisionError("ours"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
