"""The connection options: where they may stand, what counts more, what is refused."""

import httpx
import pytest

from example import __version__

from .conftest import Run
from .scripted import TOKEN, Service


@pytest.fixture(autouse=True)
def versions(service: Service) -> None:
    service.on("GET /version", {"version": "0.1.0", "build": "abc"})
    service.on("GET /jobs", [])


def authorization(service: Service) -> str | None:
    return service.last().headers.get("authorization")


@pytest.mark.parametrize(
    "arguments", [["--token", "t1", "version"], ["version", "--token", "t1"], ["--token", "t0", "version", "--token", "t1"]]
)
def test_options_stand_before_or_after_the_command_and_the_last_counts(run: Run, service: Service, arguments: list[str]) -> None:
    run(*arguments)
    assert authorization(service) == "Bearer t1"


@pytest.mark.parametrize(
    "arguments", [["--json", "jobs", "list"], ["jobs", "--json", "list"], ["jobs", "list", "--json"], ["jobs", "--json"]]
)
def test_options_stand_anywhere_in_a_nested_command(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).stdout == "[]\n"


def test_api_key_is_read_when_pkgctl_token_is_not_set(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PKGCTL_TOKEN", "")
    monkeypatch.setenv("API_KEY", "from-api-key")
    run("version")
    assert authorization(service) == "Bearer from-api-key"


def test_an_empty_token_option_means_none(run: Run, service: Service) -> None:
    run("--token", "", "version")
    assert authorization(service) is None


@pytest.mark.parametrize("token", ["a b", "ab\n", "\tab", "a\u00e9b"])
def test_a_token_with_white_space_or_worse_is_wrong_usage_and_not_repeated(
    run: Run, service: Service, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("PKGCTL_TOKEN", token)
    result = run("version")
    assert result.exit_code == 2
    assert "the token contains a space" in result.stderr
    assert token not in result.output
    assert service.asked == []


@pytest.mark.parametrize(
    "url", ["ftp://x", "localhost:8000", "http://", "http://me:pw@host", "http://h/?q=1", "http://h:99999", "http://h/#f", "http://h:x"]
)
def test_what_is_not_a_server_is_wrong_usage(run: Run, url: str) -> None:
    result = run("version", "--url", url)
    assert result.exit_code == 2
    assert "--url" in result.stderr


def test_a_slash_at_the_end_of_the_url_makes_no_difference(run: Run, service: Service) -> None:
    assert run("version", "--url", service.url + "/").exit_code == 0


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert run("version").exit_code == 0


def test_localhost_is_this_machine(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert run("version", "--url", service.url.replace("127.0.0.1", "localhost")).exit_code == 0


def test_version_shows_both_ends(run: Run) -> None:
    assert run("version").stdout == f"pkgctl {__version__}\nserver 0.1.0 (build abc)\n"


def test_the_version_option_asks_no_server(run: Run, service: Service) -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"pkgctl {__version__}\n")
    assert service.asked == []


def test_without_a_command_the_help_appears(run: Run) -> None:
    result = run()
    assert result.exit_code == 2
    assert "activate" in result.output


def test_the_help_never_shows_the_token(run: Run) -> None:
    assert TOKEN not in run("--help").output + run("version", "--help").output


def test_httpx_is_told_who_asks(run: Run, service: Service) -> None:
    run("version")
    assert service.last().headers["user-agent"] == f"pkgctl/{__version__}"
    assert service.last().headers["user-agent"] != httpx.Client().headers["user-agent"]
