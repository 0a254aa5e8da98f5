"""`pkgctl env`."""

import pytest

from .conftest import Run
from .scripted import Service

PATH = "/environments/nix/default"
LIVE = {
    "source": "nix",
    "name": "default",
    "path": "/data/profiles/default",
    "generation": 3,
    "packages": [{"id": 1, "name": "hello", "version": "2.1.0"}],
}


@pytest.mark.parametrize("arguments", [["env"], ["env", "show"]])
def test_env_shows_what_is_live(run: Run, service: Service, arguments: list[str]) -> None:
    service.on(f"GET {PATH}", LIVE)
    expected = "environment: nix/default\npath:        /data/profiles/default\ngeneration:  3\npackages:\n1\thello\t2.1.0\n"
    assert run(*arguments).stdout == expected


def test_an_environment_without_packages_says_so(run: Run, service: Service) -> None:
    service.on(f"GET {PATH}", LIVE | {"packages": []})
    assert run("env").stdout.endswith("packages: none\n")


def test_generations_mark_the_current_one(run: Run, service: Service) -> None:
    first = {"number": 1, "current": False, "created_at": "t1", "packages": []}
    service.on(f"GET {PATH}/generations", [first, {"number": 2, "current": True, "created_at": "t2", "packages": LIVE["packages"]}])
    assert run("env", "generations").stdout == "1\t\tt1\t\n2\tcurrent\tt2\thello v2.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "verb", "body", "said"),
    [
        (["rollback"], "rollback", {}, "Rolled back"),
        (["rollback", "--to", "3"], "rollback", {"to": 3}, "Rolled back"),
        (["switch", "3"], "switch", {"generation": 3}, "Switched"),
    ],
)
def test_switching_says_where_it_stands(run: Run, service: Service, arguments: list[str], verb: str, body: object, said: str) -> None:
    service.on(f"POST {PATH}/{verb}", LIVE)
    assert run("env", *arguments).stdout == f"Success: {said} to generation 3: hello v2.1.0\n"
    assert service.last().body == body


def test_switch_without_a_generation_is_wrong_usage(run: Run) -> None:
    assert run("env", "switch").exit_code == 2
