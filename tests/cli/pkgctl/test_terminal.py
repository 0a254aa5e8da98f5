"""How it looks on a terminal, and how it behaves as a program in a pipe."""

import subprocess
import threading
from collections.abc import Callable

import pytest

from example.cli.pkgctl.screen import Screen

from .conftest import Terminal
from .scripted import HELLO, TASK, Service, event, job

Program = Callable[..., subprocess.Popen[str]]


def test_a_success_is_green(terminal: Terminal, service: Service) -> None:
    service.on("POST /package/1/activate", {"status": "activated", "generation": 3})
    service.on("GET /package/1", HELLO)
    code, seen = terminal("activate", "1")
    assert code == 0
    assert "\x1b[1;32mSuccess:\x1b[0m Activated hello v2.1.0\n" in seen


def test_waiting_shows(terminal: Terminal, service: Service) -> None:
    service.on("POST /package/1/deactivate", {"status": "downloaded", "generation": 3})
    service.on("GET /package/1", HELLO)
    assert "Deactivating…" in terminal("deactivate", "1")[1]


def test_a_list_has_headings_and_whole_ids(terminal: Terminal, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    service.on("GET /jobs", [job("running", done=3, expected=8, phase="building")])
    seen = terminal("jobs")[1]
    assert "TASK" in seen
    assert TASK in seen


def test_a_list_of_a_hostile_server_is_only_text(terminal: Terminal, service: Service) -> None:
    service.on("GET /packages", [HELLO | {"name": "[red]\x1b]0;title\x07x:smile:"}])
    seen = terminal("list")[1]
    assert "[red]x:smile:" in seen
    assert "\x1b]0" not in seen


def test_following_is_the_default_and_shows_a_bar(terminal: Terminal, service: Service) -> None:
    service.on("POST /package/1/download", {"status": "downloading", "task_id": TASK}, 202)
    service.on("GET /package/1", HELLO)
    progress = [event("progress", job("running", done=done, expected=8, phase="building")) for done in (1, 5)]
    service.stream(TASK, event("log", "compiling \x1b[2Jhello"), *progress, event("log", "linking"), event("end", job()))
    code, seen = terminal("download", "1")
    assert code == 0
    assert "compiling hello" in seen
    assert "building" in seen
    assert "5/8" in seen
    assert "\x1b[2J" not in seen
    assert seen.endswith("Downloaded hello v2.1.0\n")


def test_a_line_of_a_build_that_goes_on_appears_at_once(terminal: Terminal, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = threading.Event()
    write = Screen.log

    def watched(screen: Screen, text: str) -> None:
        write(screen, text)
        shown.set()

    monkeypatch.setattr(Screen, "log", watched)
    in_time: list[bool] = []
    service.stream(TASK, event("log", "one", retry=1), during=lambda: in_time.append(shown.wait(5)))
    service.stream(TASK, event("end", job()))
    assert terminal("jobs", "log", TASK, "--follow")[0] == 0
    assert in_time[0]


def test_no_follow_leaves_at_once(terminal: Terminal, service: Service) -> None:
    service.on("POST /package/1/download", {"status": "downloading", "task_id": TASK}, 202)
    service.on("GET /package/1", HELLO)
    assert f"Downloading hello v2.1.0 as job {TASK}\n" in terminal("download", "1", "--no-follow")[1]


def test_json_on_a_terminal_cannot_control_it(terminal: Terminal, service: Service) -> None:
    service.raw("GET /version", '{"build": "\x9b31m"}\n'.encode(), kind="application/json")
    assert terminal("version", "--json") == (0, '{"build": "\\u009b31m"}\n')


def test_wrong_usage_exits_2_on_a_terminal_too(terminal: Terminal) -> None:
    assert terminal("show", "x")[0] == 2


def test_a_pipe_gets_no_colours_even_when_they_are_forced(program: Program, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    service.on("GET /package/1", HELLO)
    output, complaint = program("show", "1").communicate(timeout=20)
    assert "\x1b" not in output + complaint


def test_a_reader_that_leaves_early_is_no_error(program: Program, service: Service) -> None:
    service.on("GET /packages", [HELLO] * 20_000)
    process = program("list")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "1\thello\t2.1.0\tnix\tdownloaded\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(20) == 1
    process.stderr.close()


@pytest.mark.parametrize(("arguments", "code"), [(["show", "1"], 0), (["show", "9"], 1), (["show", "x"], 2)])
def test_the_program_exits_with_what_happened(program: Program, service: Service, arguments: list[str], code: int) -> None:
    service.on("GET /package/1", HELLO)
    service.problem("GET /package/9", 404, "no such package")
    process = program(*arguments)
    process.communicate(timeout=20)
    assert process.returncode == code


def test_a_latin_1_terminal_still_shows_the_text(program: Program, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    service.on("GET /package/1", {"name": "漢"})
    process = program("show", "1")
    assert process.communicate(timeout=20)[0] == "name: \\u6f22\n"
