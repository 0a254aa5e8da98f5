"""``example-worker``: takes jobs until it is asked to stop."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

import pytest

from example import worker
from example.config import Settings
from example.errors import SchemaMismatch
from tests.nixstore import eventually
from tests.service import environment_of, start


def test_it_works_until_it_is_told_to_stop(settings: Settings) -> None:
    stopping = threading.Event()
    working = threading.Thread(target=worker.run, args=(settings, stopping))
    before = set(threading.enumerate())
    working.start()
    assert eventually(lambda: any(thread.name == "job-keeper" for thread in threading.enumerate()), 10)
    stopping.set()
    working.join(15)
    assert not working.is_alive()
    assert not any(thread.name == "job-keeper" for thread in set(threading.enumerate()) - before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(settings: Settings, tmp_path: Path, number: signal.Signals) -> None:
    process = start([sys.executable, "-m", "example.worker"], settings, tmp_path / "worker")
    log = tmp_path / "worker/server.log"
    assert eventually(lambda: "taking jobs; stop with Ctrl-C" in log.read_text(), 20)
    process.send_signal(number)
    assert process.wait(20) == 0
    assert "Traceback" not in log.read_text()


def test_settings_that_cannot_be_used_end_it_with_status_2(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (environment_of(settings) | {"THREADS": "many"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        worker.main()
    assert caught.value.code == 2


def test_a_database_of_another_release_ends_it_in_one_line(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)

    def refuses(*_: object) -> None:
        raise SchemaMismatch("the schema is newer")

    monkeypatch.setattr(worker, "run", refuses)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as caught:
        worker.main()
    assert caught.value.code == "example-worker: the schema is newer"
