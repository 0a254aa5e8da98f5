"""`pkgctl jobs`, except for following."""

import pytest

from .conftest import Run
from .scripted import TASK, Service, job


@pytest.mark.parametrize("arguments", [["jobs"], ["jobs", "list"]])
def test_jobs_are_listed_with_their_progress(run: Run, service: Service, arguments: list[str]) -> None:
    service.on("GET /jobs", [job("running", done=3, expected=8, phase="building") | {"created_at": "t"}, job("queued")])
    expected = f"{TASK}\tdownload\thello 2.1.0\trunning\tbuilding 3/8\tt\n{TASK}\tdownload\thello 2.1.0\tqueued\tqueued\t\n"
    assert run(*arguments).stdout == expected


def test_jobs_are_filtered_by_state(run: Run, service: Service) -> None:
    service.on("GET /jobs", [])
    run("jobs", "list", "--state", "failed")
    assert service.last().query == {"state": ["failed"]}


def test_a_job_is_shown_field_by_field(run: Run, service: Service) -> None:
    service.on(f"GET /jobs/{TASK}", job("failed", "no such version"))
    assert run("jobs", "show", TASK).stdout.splitlines()[3:5] == ["state:    failed", "error:    no such version"]


def test_a_log_is_printed_as_text_without_escape_sequences(run: Run, service: Service) -> None:
    service.raw(f"GET /jobs/{TASK}/log", "building\t\x1b[31mhello\x1b[0m\r\nżółć\n".encode(), kind="text/plain; charset=utf-8")
    result = run("jobs", "log", TASK)
    assert (result.exit_code, result.stdout) == (0, "building\thello\nżółć\n")
    assert service.last().query == {"follow": ["false"]}


def test_the_log_of_an_unknown_job_is_refused(run: Run, service: Service) -> None:
    service.problem(f"GET /jobs/{TASK}/log", 404, "no such job")
    assert run("jobs", "log", TASK).stderr == "Error: no such job\n"


def test_a_page_instead_of_a_log_is_refused(run: Run, service: Service) -> None:
    service.raw(f"GET /jobs/{TASK}/log", b"<html>log in</html>")
    assert "answered 200 OK instead of a log: <html>log in</html>" in run("jobs", "log", TASK).stderr


def test_a_log_that_breaks_off_is_an_error(run: Run, service: Service) -> None:
    service.raw(f"GET /jobs/{TASK}/log", b"one\n", kind="text/plain", Content_Length="100")
    result = run("jobs", "log", TASK)
    assert (result.exit_code, result.stdout) == (1, "one\n")
    assert "broke" in result.stderr


def test_a_log_has_no_json(run: Run, service: Service) -> None:
    assert run("jobs", "log", TASK, "--json").exit_code == 2
    assert service.asked == []


@pytest.mark.parametrize(
    ("state", "said"), [("cancelled", f"Cancelled job {TASK}"), ("running", f"Asked job {TASK} to stop; it is running")]
)
def test_cancel_says_how_far_it_came(run: Run, service: Service, state: str, said: str) -> None:
    service.on(f"POST /jobs/{TASK}/cancel", job(state))
    assert run("jobs", "cancel", TASK).stdout == f"Success: {said}\n"


@pytest.mark.parametrize("task", ["../tokens", "7", ""])
def test_what_is_not_a_task_id_is_wrong_usage(run: Run, service: Service, task: str) -> None:
    assert run("jobs", "cancel", task).exit_code == 2
    assert service.asked == []
