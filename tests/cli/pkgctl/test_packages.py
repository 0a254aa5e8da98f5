"""From `create` to `delete`."""

import json

import pytest

from .conftest import Run
from .scripted import HELLO, TASK, TOKEN, Service


def test_create_names_the_new_package(run: Run, service: Service) -> None:
    service.on("POST /packages", HELLO | {"status": "created"}, 201)
    result = run("create", "hello", "2.1.0")
    assert (result.exit_code, result.stdout) == (0, "Success: Created hello v2.1.0 as package 1\n")
    assert service.last().body == {"name": "hello", "version": "2.1.0"}


def test_create_passes_the_source_on(run: Run, service: Service) -> None:
    service.on("POST /packages", HELLO, 201)
    run("create", "hello", "2.1.0", "--source", "pypi")
    assert service.last().body == {"name": "hello", "version": "2.1.0", "source": "pypi"}


def test_the_token_goes_along_as_bearer(run: Run, service: Service) -> None:
    service.on("GET /packages", [])
    run("list")
    assert service.last().headers["authorization"] == f"Bearer {TOKEN}"


def test_list_in_a_pipe_is_tab_separated_without_a_heading(run: Run, service: Service) -> None:
    service.on("GET /packages", [HELLO, HELLO | {"id": 2, "status": "failed"}])
    assert run("list").stdout == "1\thello\t2.1.0\tnix\tdownloaded\n2\thello\t2.1.0\tnix\tfailed\n"


def test_an_empty_list_prints_nothing(run: Run, service: Service) -> None:
    service.on("GET /packages", [])
    result = run("list")
    assert (result.exit_code, result.output) == (0, "")


def test_list_passes_its_filters_on(run: Run, service: Service) -> None:
    service.on("GET /packages", [])
    run("list", "--source", "nix", "--status", "failed", "--name", "hello", "--limit", "5")
    assert service.last().query == {"source": ["nix"], "status": ["failed"], "name": ["hello"], "limit": ["5"]}


def test_list_says_on_stderr_that_there_is_more(run: Run, service: Service) -> None:
    service.on("GET /packages", [HELLO], Link='</api/v1/packages?after=1>; rel="next"', X_Total_Count="7")
    result = run("list")
    assert result.stderr == "1 of 7 shown; --all shows every one\n"


def test_list_all_follows_the_pages_to_the_end(run: Run, service: Service) -> None:
    service.on("GET /packages", [HELLO], Link='<http://elsewhere.example/packages?after=1&status=x>; rel="next"')
    service.on("GET /packages", [HELLO | {"id": 2}])
    assert run("list", "--all").stdout.splitlines() == ["1\thello\t2.1.0\tnix\tdownloaded", "2\thello\t2.1.0\tnix\tdownloaded"]
    assert [asked.query for asked in service.asked] == [{"limit": ["1000"]}, {"after": ["1"], "status": ["x"]}]


def test_list_all_stops_when_a_page_points_to_itself(run: Run, service: Service) -> None:
    service.on("GET /packages", [HELLO], Link='</packages?after=1>; rel="next"')
    assert len(run("list", "--all").stdout.splitlines()) == 2


def test_list_all_in_json_is_one_document(run: Run, service: Service) -> None:
    service.on("GET /packages", [HELLO], Link='</packages?after=1>; rel="next"')
    service.on("GET /packages", [HELLO | {"id": 2}])
    assert [package["id"] for package in json.loads(run("list", "--all", "--json").stdout)] == [1, 2]


def test_show_gives_a_field_a_line_and_leaves_out_the_empty_ones(run: Run, service: Service) -> None:
    service.on("GET /package/1", {"id": 1, "name": "hello", "error": None, "environments": ["default", "test"]})
    assert run("show", "1").stdout == "id:           1\nname:         hello\nenvironments: default, test\n"


def test_download_in_a_pipe_does_not_stay(run: Run, service: Service) -> None:
    service.on("POST /package/1/download", {"status": "downloading", "task_id": TASK}, 202)
    service.on("GET /package/1", HELLO)
    result = run("download", "1")
    assert (result.exit_code, result.stdout) == (0, f"Downloading hello v2.1.0 as job {TASK}\n")
    assert f"pkgctl jobs log {TASK} --follow" in result.stderr


def test_download_of_what_is_there_says_so(run: Run, service: Service) -> None:
    service.on("POST /package/1/download", {"status": "downloaded", "task_id": None})
    service.on("GET /package/1", HELLO)
    assert run("download", "1", "--follow").stdout == "Success: hello v2.1.0 is already downloaded\n"


def test_activate_says_what_is_live_now(run: Run, service: Service) -> None:
    service.on("POST /package/1/activate", {"status": "activated", "generation": 3})
    service.on("GET /package/1", HELLO)
    result = run("activate", "1")
    assert (result.exit_code, result.output) == (0, "Success: Activated hello v2.1.0\n")
    assert service.asked[0].body is None


@pytest.mark.parametrize(
    ("options", "check"),
    [
        (["--check-command", "hello --greeting 'a b'"], {"command": ["hello", "--greeting", "a b"]}),
        (["--check-url", "http://127.0.0.1:9/", "--timeout", "5"], {"url": "http://127.0.0.1:9/", "timeout_seconds": 5}),
    ],
)
def test_activate_passes_a_health_check_on(run: Run, service: Service, options: list[str], check: object) -> None:
    service.on("POST /package/1/activate", {"status": "activated", "generation": 3})
    service.on("GET /package/1", HELLO)
    run("activate", "1", *options)
    assert service.asked[0].body == {"health_check": check}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--check-command", "a", "--check-url", "b"], "not both"),
        (["--timeout", "5"], "the time limit of a check"),
        (["--check-command", "a 'b"], "cannot be split"),
        (["--check-command", " "], "is empty"),
        (["--timeout", "0"], "--timeout"),
    ],
)
def test_activate_with_a_senseless_check_is_wrong_usage(run: Run, service: Service, options: list[str], complaint: str) -> None:
    result = run("activate", "1", *options)
    assert result.exit_code == 2
    assert complaint in " ".join(result.stderr.split())
    assert service.asked == []


def test_activate_succeeds_for_a_token_that_may_not_read(run: Run, service: Service) -> None:
    service.on("POST /package/1/activate", {"status": "activated", "generation": 3})
    service.problem("GET /package/1", 403, "needs packages:read")
    result = run("activate", "1")
    assert (result.exit_code, result.output) == (0, "Success: Activated package 1\n")


def test_deactivate_says_what_is_gone(run: Run, service: Service) -> None:
    service.on("POST /package/1/deactivate", {"status": "downloaded", "generation": 4})
    service.on("GET /package/1", HELLO)
    assert run("deactivate", "1").stdout == "Success: Deactivated hello v2.1.0\n"


def test_delete_names_what_it_deleted(run: Run, service: Service) -> None:
    service.on("GET /package/1", HELLO)
    service.on("DELETE /package/1", status=204)
    assert run("delete", "1").stdout == "Success: Deleted hello v2.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["create", "hello", "1"], "POST /packages"),
        (["list"], "GET /packages"),
        (["show", "1"], "GET /package/1"),
        (["download", "1"], "POST /package/1/download"),
        (["activate", "1"], "POST /package/1/activate"),
        (["deactivate", "1"], "POST /package/1/deactivate"),
        (["delete", "1"], "DELETE /package/1"),
        (["env"], "GET /environments/nix/default"),
        (["env", "generations"], "GET /environments/nix/default/generations"),
        (["env", "rollback"], "POST /environments/nix/default/rollback"),
        (["jobs"], "GET /jobs"),
        (["jobs", "show", TASK], f"GET /jobs/{TASK}"),
        (["jobs", "cancel", TASK], f"POST /jobs/{TASK}/cancel"),
        (["token", "list"], "GET /tokens"),
        (["token", "show", "1"], "GET /tokens/1"),
        (["token", "revoke", "1"], "DELETE /tokens/1"),
        (["version"], "GET /version"),
    ],
)
def test_json_is_what_the_server_sent_and_nothing_else(run: Run, service: Service, arguments: list[str], what: str) -> None:
    sent = (
        b'[ {"odd":  1.50, "z": "\\u00e9\xc3\xa9"} ]'
        if arguments[-1] in ("list", "jobs", "generations")
        else b'{"odd":  1.50, "task_id": null}'
    )
    service.raw(what, sent, kind="application/json")
    result = run(*arguments, "--json")
    assert (result.exit_code, result.stdout_bytes, result.stderr) == (0, sent + b"\n", "")
    assert len(service.asked) == 1


def test_json_of_an_empty_answer_is_still_a_document(run: Run, service: Service) -> None:
    service.on("DELETE /package/1", status=204)
    assert run("--json", "delete", "1").stdout == "null\n"
