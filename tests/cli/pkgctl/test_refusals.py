"""What a person is told when it does not work out."""

import socket
import threading

import httpx
import pytest

from example.cli.pkgctl import server as server_module
from example.cli.pkgctl.errors import unreachable

from .conftest import Run
from .scripted import TOKEN, Service


def test_a_refusal_shows_the_detail_on_stderr_and_exits_1(run: Run, service: Service) -> None:
    service.problem("GET /package/9", 404, "package 9 does not exist")
    result = run("show", "9")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "Error: package 9 does not exist\n")


def test_json_keeps_stdout_empty_on_a_refusal(run: Run, service: Service) -> None:
    service.problem("GET /package/9", 404, "package 9 does not exist")
    assert run("show", "9", "--json").stdout == ""


def test_a_validation_error_lists_the_fields(run: Run, service: Service) -> None:
    errors = [{"field": "name", "message": "too short"}, {"field": "version", "message": "no version"}, "odd"]
    service.problem("POST /packages", 422, "two fields are wrong", errors=errors)
    assert run("create", "a", "b").stderr == "Error: two fields are wrong\n  name: too short\n  version: no version\n"


def test_a_401_says_how_to_get_a_token(run: Run, service: Service) -> None:
    service.problem("GET /packages", 401, "no credentials")
    assert run("list", "--token", "").stderr == (
        "Error: no credentials\n"
        "Hint: run: pkgctl login, or set PKGCTL_TOKEN (on the machine of a development server: pkgctl token create --save)\n"
    )


def test_a_429_says_when_to_come_back(run: Run, service: Service) -> None:
    service.raw("GET /packages", b'{"title": "Too many requests"}', 429, "application/problem+json", Retry_After="7")
    assert run("list").stderr == "Error: Too many requests\nHint: try again in 7 s\n"


def test_a_fault_of_the_server_shows_the_request_id(run: Run, service: Service) -> None:
    service.problem("GET /packages", 500, "something broke", request_id="r-1")
    assert run("list").stderr == "Error: something broke (request r-1)\n"


@pytest.mark.parametrize("body", [b"<html>\n<h1>Bad gateway", b"\n  <html>", b'["<html>"]'])
def test_a_proxys_page_shows_as_status_and_first_line(run: Run, service: Service, body: bytes) -> None:
    service.raw("GET /packages", body, 502)
    result = run("list")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {service.url}/api/v1/packages answered 502 Bad Gateway instead of JSON: ")
    assert "<html>" in result.stderr
    assert "<h1>" not in result.stderr


def test_a_page_instead_of_json_is_refused_even_with_status_200(run: Run, service: Service) -> None:
    service.raw("GET /packages", b"<html>Please log in</html>")
    assert "200 OK instead of JSON: <html>Please log in</html>" in run("list").stderr


def test_an_empty_answer_is_named(run: Run, service: Service) -> None:
    service.raw("GET /packages", b"", 503)
    assert "an empty body" in run("list").stderr


def test_a_redirect_is_reported_and_not_followed(run: Run, service: Service) -> None:
    service.raw("GET /packages", b"", 302, Location="https://other.example/")
    result = run("list")
    assert "moved to https://other.example/" in result.stderr
    assert len(service.asked) == 1


@pytest.mark.parametrize(("command", "sent"), [("list", {"no": "list"}), ("list", [1]), ("show", ["no object"])])
def test_json_of_another_shape_is_refused(run: Run, service: Service, command: str, sent: object) -> None:
    service.on("GET /packages", sent)
    service.on("GET /package/1", sent)
    result = run(command, *(["1"] if command == "show" else []))
    assert result.exit_code == 1
    assert "is this a Package Master?" in result.stderr


def test_a_refused_connection_names_the_url_and_how_to_start_in_one_line(run: Run) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    result = run("list", "--url", url)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"Error: cannot reach {url}: Connection refused; start the server with `uvicorn example.server:app`")


def test_a_name_that_does_not_resolve_says_so(run: Run) -> None:
    result = run("list", "--url", "http://nowhere.invalid")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: cannot reach http://nowhere.invalid: ")
    assert "uvicorn" not in result.stderr


def test_a_server_that_never_answers_is_given_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "PATIENCE", 0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        result = run("show", "1", "--url", f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert result.exit_code == 1
    assert "no answer from" in result.stderr
    assert "in time" in result.stderr


def test_a_connection_that_cannot_be_made_in_time_says_so() -> None:
    assert unreachable("http://h", httpx.ConnectTimeout("")).message == "no answer from http://h: connecting took too long"


def test_a_connection_that_breaks_says_so(run: Run) -> None:
    with socket.socket() as abrupt:
        abrupt.bind(("127.0.0.1", 0))
        abrupt.listen()
        url = f"http://127.0.0.1:{abrupt.getsockname()[1]}"

        def hang_up() -> None:
            connection, _ = abrupt.accept()
            connection.recv(1000)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        result = run("show", "1", "--url", url)
        thread.join()
    assert result.stderr.startswith(f"Error: the connection to {url} broke: ")


def test_an_answer_that_echoes_the_token_is_shown_without_it(run: Run, service: Service) -> None:
    service.problem("GET /packages", 400, f"bad header: Bearer {TOKEN}")
    assert run("list").stderr == "Error: bad header: Bearer [secret]\n"


def test_escape_sequences_in_a_refusal_do_not_reach_the_terminal(run: Run, service: Service) -> None:
    service.problem("GET /packages", 400, "bad \x1b]0;title\x07\x1b[31mname")
    assert run("list").stderr == "Error: bad name\n"


def test_wrong_usage_exits_2(run: Run, service: Service) -> None:
    assert [run(*arguments).exit_code for arguments in (["show"], ["show", "x"], ["nonsense"], ["list", "--limit", "0"])] == [2] * 4
    assert service.asked == []
