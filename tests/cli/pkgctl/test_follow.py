"""Following a job to its end, across connections that drop."""

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Callable

import httpx
import pytest

from example.cli.pkgctl import follow, server

from .conftest import Run
from .scripted import HELLO, TASK, Service, event, job

AGAIN = f"pkgctl jobs log {TASK} --follow"


@pytest.fixture(autouse=True)
def started(service: Service) -> None:
    service.on("POST /package/1/download", {"status": "downloading", "task_id": TASK}, 202)
    service.on("GET /package/1", HELLO)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "_FIRST_WAIT", 0.001)


def test_a_followed_download_prints_the_log_and_the_success(run: Run, service: Service) -> None:
    progress = event("progress", job("running", done=1, expected=2, phase="building"))
    service.stream(TASK, event("log", "one\n\x1b[31mtwo"), progress, event("later-addition", "x"), event("end", job()))
    result = run("download", "1", "--follow")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "one\ntwo\nSuccess: Downloaded hello v2.1.0\n", "")
    assert service.asked[1].headers["accept"] == "text/event-stream"
    assert service.asked[1].query == {"follow": ["true"]}


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (job("failed", "no such version\nthere is 2.12.1"), "hello 2.1.0 failed: no such version\nthere is 2.12.1"),
        (job("cancelled"), "hello 2.1.0 was cancelled"),
        ({"state": "failed"}, "the job failed"),
    ],
)
def test_a_job_that_fails_exits_1_with_the_reason(run: Run, service: Service, ended: object, said: str) -> None:
    service.stream(TASK, event("log", "one"), event("end", ended))
    result = run("download", "1", "--follow")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "one\n", f"Error: {said}\n")


def test_with_json_the_job_as_it_ended_is_the_one_document(run: Run, service: Service) -> None:
    service.stream(TASK, event("log", "one"), event("end", job()))
    result = run("download", "1", "--follow", "--json")
    assert (json.loads(result.stdout), result.stderr) == (job(), "one\n")


def test_a_log_is_followed_with_the_outcome_on_stderr(run: Run, service: Service) -> None:
    service.stream(TASK, event("log", "one"), event("end", job()))
    result = run("jobs", "log", TASK, "--follow")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "one\n", "hello 2.1.0 succeeded\n")


def test_following_a_failed_job_exits_1(run: Run, service: Service) -> None:
    service.stream(TASK, event("end", job("failed", "boom")))
    assert run("jobs", "log", TASK, "--follow").exit_code == 1


@pytest.mark.parametrize("cut", [True, False])
def test_a_dropped_connection_is_opened_again_after_the_last_event(run: Run, service: Service, cut: bool) -> None:
    service.stream(TASK, event("log", "one", id=4, retry=1), "data: half an event", cut=cut)
    service.stream(TASK, event("progress", job("running")))
    service.stream(TASK, event("log", "two", id=5), event("end", job()))
    result = run("download", "1", "--follow")
    assert result.stdout == "one\ntwo\nSuccess: Downloaded hello v2.1.0\n"
    assert [asked.headers.get("last-event-id") for asked in service.asked[1:4]] == [None, "4", "4"]
    assert result.stderr == "Connection lost; opening it again…\n" * 2


def test_a_restarting_server_behind_a_proxy_is_waited_for(run: Run, service: Service) -> None:
    service.stream(TASK, event("log", "one", id=4, retry=1))
    service.raw(f"GET /jobs/{TASK}/log", b"Bad gateway", 502)
    service.stream(TASK, event("end", job()))
    assert run("download", "1", "--follow").exit_code == 0


def test_a_server_that_stays_away_is_given_up_with_the_way_back(run: Run, service: Service) -> None:
    service.stream(TASK, event("log", "one", id=4, retry=0))
    service.raw(f"GET /jobs/{TASK}/log", b"Bad gateway", 502)
    result = run("download", "1", "--follow")
    assert result.exit_code == 1
    assert "Error: lost the connection: " in result.stderr
    assert result.stderr.endswith(f"Hint: the job goes on; follow it again with: {AGAIN}\n")


def test_a_refusal_in_the_middle_ends_the_following(run: Run, service: Service) -> None:
    service.stream(TASK, event("log", "one", id=4, retry=1))
    service.problem(f"GET /jobs/{TASK}/log", 401, "the token has expired")
    result = run("download", "1", "--follow")
    assert (result.exit_code, "Error: the token has expired" in result.stderr) == (1, True)


def test_a_log_that_cannot_be_opened_is_refused_at_once(run: Run, service: Service) -> None:
    service.raw(f"GET /jobs/{TASK}/log", b"Bad gateway", 502)
    assert run("download", "1", "--follow").exit_code == 1
    assert len(service.asked) == 2


def test_no_server_is_an_error_at_once(run: Run) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    result = run("jobs", "log", TASK, "--follow", "--url", url)
    assert result.stderr.startswith(f"Error: cannot reach {url}")


def test_a_connection_that_breaks_before_any_event_is_opened_again(run: Run, service: Service, hurried: None) -> None:
    service.stream(TASK, cut=True)
    service.stream(TASK, event("end", job()))
    assert run("download", "1", "--follow").exit_code == 0


def test_a_quiet_build_is_no_failure(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(server, "QUIET_STREAM", 0.1)
    service.stream(TASK, event("log", "one", id=4), during=lambda: released.wait(5))
    service.stream(TASK, event("end", job()))
    result = run("download", "1", "--follow")
    released.set()
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize("data", ["no json", "[]"])
def test_an_event_that_makes_no_sense_is_an_error(run: Run, service: Service, data: str) -> None:
    service.stream(TASK, event("end", data))
    assert run("download", "1", "--follow").stderr == "Error: the server sent an event that can't be read\n"


def test_an_interrupt_while_following_exits_130_and_tells_the_way_back(
    program: Callable[..., subprocess.Popen[str]], service: Service
) -> None:
    seen = threading.Event()
    service.stream(TASK, event("log", "one"), during=lambda: seen.wait(20))
    process = program("download", "1", "--follow")
    assert process.stdout is not None
    assert process.stdout.readline() == "one\n"
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=20)
    seen.set()
    assert process.returncode == 130
    assert complaint == f"The job goes on without you. Follow it again: {AGAIN} (or stop it: pkgctl jobs cancel {TASK})\n"


def test_an_interrupt_is_told_in_this_process_too(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> httpx.Response:
        raise KeyboardInterrupt

    monkeypatch.setattr(follow, "_opened", interrupted)
    result = run("download", "1", "--follow")
    assert (result.exit_code, AGAIN in result.stderr) == (130, True)
