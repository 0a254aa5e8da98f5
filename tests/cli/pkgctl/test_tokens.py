"""`pkgctl token`, and the file that keeps a token."""

import json
import os
import stat
from pathlib import Path

import pytest

from example.cli.pkgctl import credentials
from example.cli.pkgctl.errors import Refused

from .conftest import Run
from .scripted import TOKEN, Service

NEW = "pm_pat_new"
MADE = {"id": 3, "token": NEW, "prefix": "pm_pat_n", "name": "ci", "scopes": ["packages:read", "jobs:read"], "expires_at": "t"}
MASKED = {name: value for name, value in MADE.items() if name != "token"}


@pytest.fixture
def kept(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person whose token is in the file and nowhere else."""
    credentials.save(service.url, credentials.Saved("kept", 3))
    monkeypatch.delenv("PKGCTL_TOKEN")


def authorizations(service: Service) -> list[str | None]:
    return [asked.headers.get("authorization") for asked in service.asked]


def test_create_prints_the_token_alone_on_stdout(run: Run, service: Service, person: Path) -> None:
    service.on("POST /tokens", MADE, 201)
    result = run("token", "create")
    assert (result.exit_code, result.stdout) == (0, f"{NEW}\n")
    assert result.stderr == "Created token 3 (packages:read, jobs:read). It is shown only now:\n"
    assert service.last().body is None or service.last().body == {}
    assert not person.exists()


def test_create_passes_its_options_on(run: Run, service: Service) -> None:
    service.on("POST /tokens", MADE, 201)
    more = ("--resource", "hello*", "--expires-in-days", "7", "--allowed-ip", "10.0.0.0/8", "--allowed-ip", "::1/128")
    run("token", "create", "--name", "ci", "--scope", "packages:read", "--scope", "jobs:read", *more)
    assert service.last().body == {
        "name": "ci",
        "scopes": ["packages:read", "jobs:read"],
        "resources": ["hello*"],
        "expires_in_days": 7,
        "allowed_ips": ["10.0.0.0/8", "::1/128"],
    }


def test_create_in_json_is_the_servers_document(run: Run, service: Service) -> None:
    service.on("POST /tokens", MADE, 201)
    result = run("token", "create", "--json")
    assert (json.loads(result.stdout), result.stderr) == (MADE, "")


def test_an_answer_without_a_token_is_refused(run: Run, service: Service) -> None:
    service.on("POST /tokens", MASKED, 201)
    assert run("token", "create").stderr == "Error: the server answered without a token\n"


def test_save_keeps_the_token_in_a_file_for_the_owner_only(run: Run, service: Service, person: Path) -> None:
    service.on("POST /tokens", MADE, 201)
    result = run("token", "create", "--save")
    assert result.stderr.endswith(f"Saved for {service.url} in {person}\n")
    assert stat.S_IMODE(person.stat().st_mode) == 0o600
    assert stat.S_IMODE(person.parent.stat().st_mode) == 0o700
    assert sorted(person.parent.iterdir()) == [person, person.with_suffix(".lock")]


def test_the_file_is_born_private(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    replace = os.replace

    def watched(old: str, new: Path) -> None:
        modes.append(stat.S_IMODE(Path(old).stat().st_mode))
        replace(old, new)

    monkeypatch.setattr(os, "replace", watched)
    mask = os.umask(0)
    try:
        credentials.save(service.url, credentials.Saved("t"))
    finally:
        os.umask(mask)
    assert modes == [0o600]


@pytest.mark.usefixtures("kept")
def test_other_commands_use_the_kept_token(run: Run, service: Service) -> None:
    service.on("GET /packages", [])
    run("list")
    assert authorizations(service) == ["Bearer kept"]


@pytest.mark.usefixtures("kept")
def test_a_given_token_counts_more_than_the_kept_one(run: Run, service: Service) -> None:
    service.on("GET /packages", [])
    run("list", "--token", TOKEN)
    assert authorizations(service) == [f"Bearer {TOKEN}"]


@pytest.mark.usefixtures("kept")
def test_the_kept_token_goes_to_no_other_server(run: Run, service: Service) -> None:
    service.on("GET /packages", [])
    run("list", "--url", service.url.replace("127.0.0.1", "localhost"))
    assert authorizations(service) == [None]


@pytest.mark.usefixtures("kept")
def test_tokens_of_several_servers_are_kept_side_by_side(service: Service) -> None:
    credentials.save("http://other", credentials.Saved("other", 1))
    assert (credentials.load(service.url), credentials.load("http://other")) == (
        credentials.Saved("kept", 3),
        credentials.Saved("other", 1),
    )


@pytest.mark.usefixtures("kept")
def test_a_kept_token_that_is_void_does_not_stand_in_the_way_of_a_new_one(run: Run, service: Service) -> None:
    service.problem("POST /tokens", 401, "unknown token")
    service.on("POST /tokens", MADE, 201)
    result = run("token", "create", "--save")
    assert (result.exit_code, authorizations(service)) == (0, ["Bearer kept", None])
    assert credentials.load(service.url) == credentials.Saved(NEW, 3, expires_at="t")


@pytest.mark.usefixtures("kept")
def test_another_refusal_of_a_new_token_stands(run: Run, service: Service) -> None:
    service.problem("POST /tokens", 403, "needs tokens:write")
    assert run("token", "create").stderr == "Error: needs tokens:write\n"
    assert len(service.asked) == 1


def test_a_given_token_that_is_void_is_not_left_out_in_silence(run: Run, service: Service) -> None:
    service.problem("POST /tokens", 401, "unknown token")
    assert run("token", "create").exit_code == 1
    assert len(service.asked) == 1


@pytest.mark.parametrize("arguments", [["token"], ["token", "list"]])
def test_tokens_are_listed_without_secrets(run: Run, service: Service, arguments: list[str]) -> None:
    service.on("GET /tokens", [MASKED, {"id": 4, "prefix": "pm_pat_m", "revoked_at": "t"}])
    expected = "3\tci\tpm_pat_n\tpackages:read, jobs:read\tt\t\n4\t\tpm_pat_m\t\t\trevoked\n"
    assert run(*arguments).stdout == expected


def test_a_token_is_shown_without_its_secret(run: Run, service: Service) -> None:
    service.on("GET /tokens/3", MADE)
    result = run("token", "show", "3")
    assert "scopes:     packages:read, jobs:read\n" in result.stdout
    assert NEW not in result.output


def test_regenerate_prints_the_new_secret_and_keeps_nothing(run: Run, service: Service, person: Path) -> None:
    service.on("POST /tokens/3/regenerate", MADE)
    assert run("token", "regenerate", "3").stdout == f"{NEW}\n"
    assert not person.exists()


@pytest.mark.usefixtures("kept")
def test_regenerating_the_kept_token_keeps_its_successor(run: Run, service: Service) -> None:
    service.on("POST /tokens/3/regenerate", MADE)
    run("token", "regenerate", "3")
    assert credentials.load(service.url) == credentials.Saved(NEW, 3, expires_at="t")


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(("token_id", "left"), [(3, None), (4, credentials.Saved("kept", 3))])
def test_revoking_the_kept_token_forgets_it(run: Run, service: Service, token_id: int, left: object) -> None:
    service.on(f"DELETE /tokens/{token_id}", {})
    assert run("token", "revoke", str(token_id)).stdout == f"Success: Revoked token {token_id}\n"
    assert credentials.load(service.url) == left


def test_forgetting_what_is_not_kept_writes_nothing(person: Path) -> None:
    credentials.forget("http://other")
    assert not person.exists()


@pytest.mark.usefixtures("kept")
def test_a_file_that_others_can_read_is_refused(run: Run, service: Service, person: Path) -> None:
    person.chmod(0o640)
    assert run("list").stderr == f"Error: {person} can be read by other users\nHint: chmod 600 {person}\n"
    assert service.asked == []


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("contents", ["", "[]", "{}", '{"servers": []}', "\x00"])
def test_a_file_that_is_something_else_is_refused(run: Run, person: Path, contents: str) -> None:
    person.write_text(contents)
    assert f"Error: {person} is not a credentials file\n" in run("list").stderr


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("entry", ["text", {"token": 1}, {}])
def test_an_entry_that_makes_no_sense_is_no_token(service: Service, person: Path, entry: object) -> None:
    person.write_text(json.dumps({"servers": {service.url: entry}}))
    assert credentials.load(service.url) is None


def test_a_file_that_cannot_be_read_is_refused_before_a_token_is_made(run: Run, service: Service, person: Path) -> None:
    person.mkdir(parents=True, mode=0o700)
    result = run("token", "create", "--save")
    assert (result.exit_code, service.asked) == (1, [])
    assert str(person) in result.stderr


def test_a_folder_that_cannot_be_made_costs_no_token(run: Run, service: Service, person: Path) -> None:
    person.parent.parent.write_text("a file stands where the folder should be")
    service.on("POST /tokens", MADE, 201)
    result = run("token", "create", "--save")
    assert result.exit_code == 1
    assert f"{person}" in result.stderr


def test_a_save_that_fails_leaves_the_old_file_and_no_other(
    service: Service, kept: None, person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(Refused, match="No space left on device"):
        credentials.save(service.url, credentials.Saved("new"))
    assert sorted(person.parent.iterdir()) == [person, person.with_suffix(".lock")]
    assert credentials.load(service.url) == credentials.Saved("kept", 3)


def test_a_relative_config_folder_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert credentials.location() == tmp_path / ".config" / "package-master" / "credentials.json"


def test_a_kept_token_never_shows_in_a_repr() -> None:
    assert "kept" not in repr(credentials.Saved("kept", 3))
