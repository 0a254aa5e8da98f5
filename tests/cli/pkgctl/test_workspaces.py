"""`pkgctl workspace`, and the workspace that commands act in."""

import json

import pytest

from example.cli.pkgctl import credentials
from example.cli.pkgctl.credentials import Saved

from .accounts import ACCESS, PAT, REFRESH
from .conftest import Run
from .keyboard import pipe, sit
from .scripted import Service

TEAM = {"id": 2, "name": "team", "description": "What we run", "role": "owner", "created_at": "2026-11-21T12:00:00Z"}
CODE = "pm_inv_" + "c" * 50


@pytest.mark.parametrize("arguments", [["workspace"], ["workspace", "list"]])
def test_the_list_is_a_table(run: Run, service: Service, arguments: list[str]) -> None:
    service.on("GET /workspaces", [TEAM])
    assert run(*arguments).stdout == "team\towner\tWhat we run\t2026-11-21T12:00:00Z\n"


def test_json_is_the_servers_list(run: Run, service: Service) -> None:
    service.on("GET /workspaces", [TEAM])
    assert json.loads(run("workspace", "list", "--json").stdout) == [TEAM]


def test_create_says_how_to_work_in_it(run: Run, service: Service) -> None:
    service.on("POST /workspaces", TEAM, 201)
    result = run("workspace", "create", "team", "--description", "What we run")
    assert (result.stdout, result.stderr) == ("Success: Created the workspace team\n", "Work in it: pkgctl login --workspace team\n")
    assert service.last().body == {"name": "team", "description": "What we run"}


def test_create_needs_no_description(run: Run, service: Service) -> None:
    service.on("POST /workspaces", TEAM, 201)
    run("workspace", "create", "team", "--json")
    assert service.last().body == {"name": "team"}


def test_show_has_a_field_a_line(run: Run, service: Service) -> None:
    service.on("GET /workspaces/team", TEAM)
    assert run("workspace", "show", "team").stdout.splitlines()[:3] == [
        "name:        team",
        "description: What we run",
        "role:        owner",
    ]


def test_delete(run: Run, service: Service) -> None:
    service.on("DELETE /workspaces/team", status=204)
    assert run("workspace", "delete", "team").stdout == "Success: Deleted the workspace team\n"
    assert service.last().query == {}


def test_delete_with_force(run: Run, service: Service) -> None:
    service.on("DELETE /workspaces/team", status=204)
    assert run("workspace", "delete", "team", "--force", "--json").stdout == "null\n"
    assert service.last().query == {"force": ["true"]}


def test_one_that_is_not_empty_says_how_to_delete_it(run: Run, service: Service) -> None:
    service.problem("DELETE /workspaces/team", 409, "there are 3 packages in it", code="workspace_not_empty")
    assert (
        "Hint: delete what is in it first, or take all along: pkgctl workspace delete team --force"
        in run("workspace", "delete", "team").stderr
    )


def test_another_refusal_to_delete_is_shown_as_it_is(run: Run, service: Service) -> None:
    service.problem("DELETE /workspaces/team", 403, "owners only", code="insufficient_role")
    assert run("workspace", "delete", "team").stderr == "Error: owners only\n"


def test_members_are_listed(run: Run, service: Service) -> None:
    service.on("GET /workspaces/team/members", [{"username": "ada", "role": "owner", "since": "t"}])
    assert run("workspace", "members", "team").stdout == "ada\towner\tt\n"
    assert json.loads(run("workspace", "members", "team", "--json").stdout)[0]["username"] == "ada"


def test_a_member_is_added_with_a_role(run: Run, service: Service) -> None:
    service.on("PUT /workspaces/team/members/bob", {"username": "bob", "role": "viewer", "since": "t"})
    assert run("workspace", "add", "team", "bob", "--role", "viewer").stdout == "Success: bob is viewer in team\n"
    assert service.last().body == {"role": "viewer"}
    assert run("workspace", "add", "team", "bob", "--role", "viewer", "--json").exit_code == 0


def test_a_member_without_a_role_is_wrong_usage(run: Run, service: Service) -> None:
    assert run("workspace", "add", "team", "bob").exit_code == 2


def test_a_member_is_removed(run: Run, service: Service) -> None:
    service.on("DELETE /workspaces/team/members/bob", status=204)
    assert run("workspace", "remove", "team", "bob").stdout == "Success: Removed bob from team\n"
    assert run("workspace", "remove", "team", "bob", "--json").stdout == "null\n"


def test_a_name_never_leaves_its_place_in_the_path(run: Run, service: Service) -> None:
    service.script["DELETE /workspaces/team/members/..%2F..%2Fx"] = []
    service.problem("DELETE /workspaces/team/members/..%2F..%2Fx", 422, "no name")
    assert run("workspace", "remove", "team", "../../x").exit_code == 1


def test_an_invitation_is_alone_on_stdout(run: Run, service: Service) -> None:
    service.on("POST /workspaces/team/invitations", {"invitation": CODE, "role": "viewer", "expires_at": "t"}, 201)
    result = run("workspace", "invite", "team", "--role", "viewer", "--days", "3")
    assert result.stdout == f"{CODE}\n"
    assert "as viewer, until t. It is shown only now" in result.stderr
    assert "pkgctl register --invited" in result.stderr
    assert service.last().body == {"role": "viewer", "expires_in_days": 3}
    assert json.loads(run("workspace", "invite", "team", "--json").stdout)["invitation"] == CODE
    assert service.last().body == {}


def test_an_invitation_without_a_code_is_none(run: Run, service: Service) -> None:
    service.on("POST /workspaces/team/invitations", {"role": "viewer"}, 201)
    assert "without an invitation" in run("workspace", "invite", "team", "--role", "viewer").stderr


def test_an_invitation_is_accepted_through_a_pipe(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, f"{CODE}\n")
    service.on("POST /users/me/invitations", {"workspace": "team", "role": "viewer"})
    assert run("workspace", "join").stdout == "Success: You are viewer in team\n"
    assert service.last().body == {"invitation": CODE}
    assert run("workspace", "join", "--json").exit_code == 0


def test_an_invitation_is_accepted_unseen(service: Service) -> None:
    service.on("POST /users/me/invitations", {"workspace": "team", "role": "viewer"})
    sat = sit("workspace", "join", answers=(("Invitation:", CODE),))
    assert "You are viewer in team" in sat.seen
    assert CODE not in sat.seen


def test_settings_are_shown(run: Run, service: Service) -> None:
    service.on("GET /workspaces/team/settings", {"description": "", "longest_token_days": 90})
    assert run("workspace", "settings", "team").stdout == "longest token days: 90\n"


def test_settings_that_are_given_change(run: Run, service: Service) -> None:
    service.on("PUT /workspaces/team/settings", {"description": "", "longest_token_days": 30})
    run("workspace", "settings", "team", "--longest-token-days", "30", "--description", "")
    assert service.last().body == {"description": "", "longest_token_days": 30}


@pytest.mark.parametrize(
    "arguments",
    [["-w", "team", "list"], ["list", "--workspace", "team"], ["--workspace", "other", "list", "-w", "team"]],
)
def test_the_workspace_stands_before_or_after_the_command(run: Run, service: Service, arguments: list[str]) -> None:
    service.on("GET /packages", [])
    run(*arguments)
    assert service.last().headers["x-workspace"] == "team"


def test_the_environment_names_it_too(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PKGCTL_WORKSPACE", "team")
    service.on("GET /packages", [])
    run("list")
    assert service.last().headers["x-workspace"] == "team"


def test_a_token_is_left_to_know_its_own(run: Run, service: Service) -> None:
    service.on("GET /packages", [])
    run("list")
    assert "x-workspace" not in service.last().headers


@pytest.mark.parametrize("name", ["two words", "a\nb", "münchen"])
def test_what_cannot_be_a_name_is_wrong_usage(run: Run, service: Service, name: str) -> None:
    assert run("list", "-w", name).exit_code == 2
    assert service.asked == []


def test_a_token_of_another_workspace_says_how_to_get_one(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PKGCTL_TOKEN")
    credentials.save(service.url, Saved(PAT, 7, workspace="default"))
    service.problem("GET /packages", 404, "there is no workspace 'team' that you can see")
    hint = "Hint: the saved token acts in the workspace default only; run: pkgctl login --workspace team\n"
    assert run("list", "-w", "team").stderr.endswith(hint)
    assert "Hint" not in run("list").stderr


def test_a_session_goes_everywhere(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PKGCTL_TOKEN")
    credentials.save(service.url, Saved(ACCESS, None, REFRESH, "2999-01-01T00:00:00Z", "ada", "default"))
    service.problem("GET /packages", 404, "there is no workspace 'team' that you can see")
    assert "Hint" not in run("list", "-w", "team").stderr
    assert service.last().headers["x-workspace"] == "team"
