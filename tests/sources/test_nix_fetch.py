"""One fetch from start to end: what is reported, its limits, and every way in which it ends early."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from example.config import Settings
from example.nix import running
from example.nix.lock import store_lock
from example.nix.runtime import NixRuntime
from example.sources import nix
from example.sources.nix import NixSource
from example.sources.protocol import BuildFailed, FetchKilled, FetchRequest, FetchTimeout, NoSpace, SourceUnavailable
from tests.nixstore import SETS, Remembering, eventually, fetch, make_settings, processes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    """A store of its own, so that its processes can be told by its path and nothing is built yet."""
    return make_settings(tmp_path)


async def started(settings: Settings, name: str, words: str) -> tuple[asyncio.Task[object], Remembering]:
    """A fetch whose builder has printed ``words``."""
    report = Remembering()
    task: asyncio.Task[object] = asyncio.create_task(NixSource.from_settings(settings).fetch(FetchRequest(1, name, "1.0"), report))
    await report.until(words)
    return task, report


def test_what_the_build_says_is_reported_with_its_progress(own: Settings) -> None:
    report = Remembering()
    fetch(own, "coloured", report=report)
    assert "coloured-1.0> red\ncoloured-1.0> 100%\n" in report.text and "\x1b" not in report.text
    assert report.steps[1] == (0, 0, "evaluating") and report.steps[-1][:2] == (1, 1)
    assert (0, 1, "building coloured-1.0") in report.steps


def test_a_thousand_lines_come_whole_and_in_order(own: Settings) -> None:
    report = Remembering()
    fetch(own, "chatty", report=report)
    lines = [line for line in report.text.splitlines() if line.startswith("chatty-1.0> ")]
    assert lines == [f"chatty-1.0> chatter {number} and more and more and more" for number in range(3000)]


def test_a_line_of_megabytes_is_left_out_and_the_rest_goes_on(own: Settings) -> None:
    report = Remembering()
    fetch(own, "long-line", report=report)
    assert "bytes was left out)\n" in report.text and "long-line-1.0> after\n" in report.text


def test_no_variable_of_the_service_reaches_a_builder(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "hidden-from-builds")
    assert "hidden-from-builds" not in Path(fetch(own, "curious").path).read_text()


def test_a_failed_build_ends_with_the_last_lines_of_its_log(own: Settings) -> None:
    with pytest.raises(BuildFailed, match="failed with exit code 3") as failed:
        fetch(own, "failing")
    assert "line 3\n" not in str(failed.value) and str(failed.value).endswith("line 21\nline 22\nthe reason")


def test_a_failed_dependency_is_named(own: Settings) -> None:
    with pytest.raises(BuildFailed, match="needs-failing 1.0: its dependency failing-1.0 failed to build") as failed:
        fetch(own, "needs-failing")
    assert str(failed.value).endswith("the reason")


def test_a_build_without_its_output_fails(own: Settings) -> None:
    with pytest.raises(BuildFailed, match="failed to produce output path"):
        fetch(own, "no-output")


def test_an_evaluation_without_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "GRACE_SECONDS", 0.5)
    settings = make_settings(tmp_path, nix_eval_timeout=1)
    with pytest.raises(FetchTimeout, match="NIX_EVAL_TIMEOUT"):
        fetch(settings, "endless")
    assert eventually(lambda: not processes(str(tmp_path)))


def test_the_evaluations_limit_does_not_count_for_the_build(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, nix_eval_timeout=1, nix_build_timeout=2)
    with pytest.raises(FetchTimeout, match="NIX_BUILD_TIMEOUT"):
        fetch(settings, "talking")


def test_a_build_that_is_silent_for_too_long_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(FetchTimeout, match="NIX_SILENT_TIMEOUT") as silent:
        fetch(make_settings(tmp_path, nix_silent_timeout=1), "sleeping")
    assert str(silent.value).endswith("asleep")


@pytest.mark.parametrize("limit", [300_000, 8_000_000])
def test_a_flood_of_log_is_stopped_in_bounded_memory(tmp_path: Path, limit: int) -> None:
    class Counting(Remembering):
        size = 0

        def log(self, text: str) -> None:
            self.size += len(text)

    report, before = Counting(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BuildFailed, match=f"more than {limit} bytes of log"):
        fetch(make_settings(tmp_path, nix_log_limit=limit), "flooding", report=report)
    assert report.size < 3 * limit
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "KiB"


@pytest.mark.parametrize("name", ["sleeping", "stubborn"])
def test_cancelling_stops_the_build_and_leaves_no_process(own: Settings, name: str) -> None:
    async def scenario() -> float:
        task, _ = await started(own, name, f"{name}-1.0>" if name == "stubborn" else "asleep")
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - began

    assert asyncio.run(scenario()) < 3
    assert eventually(lambda: not processes(str(own.nix_root)) and not processes("sleep 987"))


def test_after_a_cancelled_fetch_the_next_one_works(own: Settings) -> None:
    async def scenario() -> None:
        task, _ = await started(own, "sleeping", "asleep")
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scenario())
    assert fetch(own, "tool", "3.0").size


WORKER = """
import asyncio, sys
from pathlib import Path
from example.sources.nix import NixSource
from example.sources.protocol import FetchRequest
from tests.nixstore import Remembering, make_settings

class Printing(Remembering):
    def log(self, text):
        print(text, end="", flush=True)

source = NixSource.from_settings(make_settings(Path(sys.argv[1])))
asyncio.run(source.fetch(FetchRequest(1, sys.argv[2], "1.0"), Printing()))
"""


@pytest.mark.parametrize("name", ["sleeping", "stubborn"])
def test_a_killed_worker_leaves_no_build_process_and_the_next_fetch_works(own: Settings, name: str) -> None:
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(own.data_dir), name], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert worker.stdout is not None
    while f"{name}-1.0> " not in worker.stdout.readline():
        assert worker.poll() is None
    assert processes(str(own.nix_root))
    worker.kill()
    worker.wait()
    worker.stdout.close()
    assert eventually(lambda: not processes(str(own.nix_root)))
    assert fetch(own, "tool", "3.0").size
    assert NixRuntime.of(own).sweep() >= 0 and not list((own.data_dir / "nix/tmp").iterdir())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_kill_from_outside_is_told_from_a_failure(own: Settings, number: signal.Signals) -> None:
    async def scenario() -> None:
        task, _ = await started(own, "sleeping", "asleep")
        for process in set(processes(str(own.nix_root))) - set(processes("unshare")):
            os.kill(process, number)
        with pytest.raises(FetchKilled, match="from outside"):
            await task

    asyncio.run(scenario())


def test_a_second_fetch_of_the_same_build_waits_for_the_first(own: Settings) -> None:
    async def scenario() -> None:
        task, _ = await started(own, "sleeping", "asleep")
        second, report = Remembering(), Remembering()
        source = NixSource.from_settings(own)
        waiting = asyncio.create_task(source.fetch(FetchRequest(2, "sleeping", "1.0"), report))
        await report.until("building")
        for fetching in (task, waiting):
            fetching.cancel()
        await asyncio.wait([task, waiting])
        assert "asleep" not in report.text + second.text

    asyncio.run(scenario())


def test_a_fetch_waits_for_a_garbage_collection(own: Settings) -> None:
    async def scenario() -> None:
        report = Remembering()
        with store_lock(own.data_dir).exclusive():
            task = asyncio.create_task(NixSource.from_settings(own).fetch(FetchRequest(1, "tool", "3.0"), report))
            await asyncio.sleep(0.3)
            assert not task.done() and report.steps == [(0, 0, "waiting for the store")]
        assert (await task).path

    asyncio.run(scenario())


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_build_that_fills_the_disk_is_no_space_and_breaks_nothing(tmp_path: Path, tiny: Path) -> None:
    settings = make_settings(tmp_path / "data", nix_root=tiny)
    with pytest.raises(NoSpace, match="full"):
        fetch(settings, "filling")
    assert fetch(settings, "tool", "3.0").path


def test_a_full_data_directory_is_no_space(tiny: Path) -> None:
    with (tiny / "ballast").open("wb") as ballast, pytest.raises(OSError, match="No space"):
        ballast.write(b"x" * 4_000_000)
    with pytest.raises(NoSpace):
        fetch(make_settings(tiny / "data", nix_root=tiny / "root"), "tool", "3.0")


def test_a_store_that_cannot_be_written_is_unavailable(tmp_path: Path, tiny: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(tiny)], check=True)
    with pytest.raises(SourceUnavailable, match="can't be written"):
        fetch(make_settings(tmp_path / "data", nix_root=tiny), "tool", "3.0")


def test_a_data_directory_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(SourceUnavailable, match="tool 3.0"):
        fetch(make_settings(tmp_path / "file"), "tool", "3.0")


def test_without_nix_the_remedy_is_said(own: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (NixSource.from_settings(own).missing() or "").startswith("nix-build is not on PATH")
    with pytest.raises(SourceUnavailable, match="apt-get install nix-bin"):
        fetch(own, "tool", "3.0")


def test_where_namespaces_are_forbidden_nothing_is_built_without_the_sandbox(
    own: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("nix-build", "setpriv", "sh"):
        (tools / name).symlink_to(shutil.which(name) or "")
    (tools / "unshare").write_text("#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n")
    (tools / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(SourceUnavailable, match="sandbox.*never built without it"):
        fetch(own, "tool", "3.0")


def test_a_builder_without_the_hosts_shell_fails_and_is_not_run_outside(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="/bin/sh"):
        fetch(make_settings(tmp_path, nix_sandbox_paths=""), "tool", "3.0")


def test_a_process_that_cannot_be_started_is_unavailable(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> NoReturn:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(nix, "follow", refuse)
    with pytest.raises(SourceUnavailable, match="Too many open files"):
        fetch(own, "tool", "3.0")


def test_an_unprivileged_user_builds_in_the_sandbox_too(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    try:
        shutil.copytree(SETS, folder / "sets")
        settings = make_settings(folder, nix_pins=f"test={folder}/sets")
        source = NixSource.from_settings(settings)
        source.runtime.write()
        monkeypatch.setattr(nix, "RESOLVER", Path(shutil.copy(nix.RESOLVER, folder)))
        monkeypatch.setattr(os, "geteuid", lambda: 65534)
        subprocess.run(["chown", "-R", "65534:65534", str(folder)], check=True)
        argv = source.runtime.wrap(source._command(FetchRequest(1, "tool", "3.0"), "marker"))
        nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        done = subprocess.run([*nobody, *argv], env=source.runtime.env, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        assert Path(done.stdout.strip(), "bin/tool").read_text() == "3.0\n"
    finally:
        shutil.rmtree(folder)
