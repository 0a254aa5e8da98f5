"""Health checks, switching and rolling back: the answer always says what is really live."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from example.environments import health
from example.nix import profile as nix_profile
from example.nix.profile import ProfileError
from tests.lifecycle.ready import activate, check_truth, environment, generations, host_of, profile_of, programs, ready
from tests.service import Service, expect, expect_problem

PATH = "/environments/nix/default"
UNHEALTHY = {"command": ["there-is-no-such-program"]}


def refuse(service: Service, package_id: int, check: dict[str, Any] = UNHEALTHY) -> str:
    """Activate with a check that fails; answers what is said."""
    problem = expect_problem(service.post(f"/package/{package_id}/activate", {"health_check": check}), 409, "activation_failed")
    return str(problem["detail"])


def test_a_healthy_generation_stays(service: Service) -> None:
    package_id = ready(service, "hello", "2.1.0")
    assert activate(service, package_id, health_check={"command": ["hello", "--version"]}) == 1
    check_truth(service)


def test_an_unhealthy_generation_is_taken_back_to_what_was_live(service: Service) -> None:
    activate(service, ready(service, "tool"))
    second = ready(service, "toolbox")
    assert refuse(service, second).endswith("there are: tool, toolbox; generation 1 is live again")
    assert programs(service) == ["tool"] and service.package(second)["status"] == "downloaded"
    assert not os.path.lexists(profile_of(service).with_name("profile-2-link")), "what never worked can be switched to"
    check_truth(service)
    assert activate(service, second) == 2


def test_an_unhealthy_first_generation_leaves_nothing_live(service: Service) -> None:
    assert refuse(service, ready(service)).endswith("; nothing is live, as before")
    assert environment(service)["generation"] is None
    assert not os.path.lexists(environment(service)["path"])
    check_truth(service)


def test_an_unhealthy_return_to_an_old_generation_keeps_that_generation(service: Service) -> None:
    activate(service, ready(service, "tool"))
    activate(service, ready(service, "toolbox"))
    answer = service.post(f"{PATH}/switch", {"generation": 1, "health_check": UNHEALTHY})
    assert expect_problem(answer, 409, "activation_failed")["detail"].endswith("; generation 2 is live again")
    assert [generation["number"] for generation in generations(service)] == [2, 1]
    assert expect(service.post(f"{PATH}/switch", {"generation": 1}), 200)["generation"] == 1


def test_a_going_back_that_fails_too_is_told_and_recorded(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ready(service, "tool"), ready(service, "toolbox")
    activate(service, first)

    def broken(*_: object) -> None:
        raise ProfileError("the store is gone")

    with monkeypatch.context() as patch:
        patch.setattr(nix_profile, "switch", broken)
        said = refuse(service, second)
    assert said.endswith("going back failed too (the store is gone): generation 2 is live now")
    assert programs(service) == ["tool", "toolbox"]
    assert {service.package(package_id)["status"] for package_id in (first, second)} == {"activated"}
    check_truth(service)
    assert expect(service.post(f"{PATH}/rollback"), 200)["generation"] == 1


def test_whatever_else_breaks_during_the_check_the_switch_is_taken_back(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    activate(service, ready(service, "tool"))
    second = ready(service, "toolbox")

    def breaks(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(health, "run", breaks)
    answer = service.post(f"/package/{second}/activate", {"health_check": UNHEALTHY})
    assert answer.status_code == 500
    assert programs(service) == ["tool"]
    check_truth(service)


def test_a_switch_makes_an_earlier_generation_live_with_its_packages(service: Service) -> None:
    old, new = ready(service, "tool", "1.2"), ready(service, "tool", "3.0")
    activate(service, old)
    activate(service, new)
    shown = expect(service.post(f"{PATH}/switch", {"generation": 1}), 200)
    assert shown["generation"] == 1 and shown["packages"] == [{"id": old, "name": "tool", "version": "1.2"}]
    assert service.package(new)["status"] == "downloaded" and service.package(old)["status"] == "activated"
    check_truth(service)


def test_a_switch_to_what_is_live_changes_nothing(service: Service) -> None:
    activate(service, ready(service))
    assert expect(service.post(f"{PATH}/switch", {"generation": 1}), 200)["generation"] == 1
    expect_problem(service.post(f"{PATH}/rollback"), 409, "conflict")


def test_a_switch_to_no_generation_names_those_there_are(service: Service) -> None:
    activate(service, ready(service))
    problem = expect_problem(service.post(f"{PATH}/switch", {"generation": 9}), 404, "not_found")
    assert problem["detail"] == "there is no generation 9; there are: 1"


def test_a_switch_to_a_generation_whose_link_is_gone_says_so(service: Service) -> None:
    activate(service, ready(service, "tool"))
    activate(service, ready(service, "toolbox"))
    profile_of(service).with_name("profile-1-link").unlink()
    problem = expect_problem(service.post(f"{PATH}/switch", {"generation": 1}), 409, "activation_failed")
    assert "has no link to its tree any more; generation 2 stays live" in problem["detail"]


def test_rolling_back_goes_to_what_was_live_before_and_forth_again(service: Service) -> None:
    for name in ("tool", "toolbox"):
        activate(service, ready(service, name))
    expect(service.post(f"{PATH}/switch", {"generation": 1}), 200)
    assert expect(service.post(f"{PATH}/rollback"), 200)["generation"] == 2
    assert expect(service.post(f"{PATH}/rollback"), 200)["generation"] == 1
    check_truth(service)


def test_rolling_back_skips_generations_that_never_worked(service: Service) -> None:
    activate(service, ready(service, "tool"))
    refuse(service, ready(service, "toolbox"))
    activate(service, ready(service, "with+plus", "1.0"))
    assert expect(service.post(f"{PATH}/rollback"), 200)["generation"] == 1
    assert programs(service) == ["tool"]


def test_rolling_back_can_name_the_generation(service: Service) -> None:
    for name in ("tool", "toolbox"):
        activate(service, ready(service, name))
    activate(service, ready(service, "with+plus", "1.0"))
    assert expect(service.post(f"{PATH}/rollback", {"to": 1}), 200)["generation"] == 1


def test_the_same_tree_again_is_not_what_was_live_before(service: Service) -> None:
    activate(service, ready(service, "tool"))
    second = ready(service, "toolbox")
    activate(service, second)
    expect(service.post(f"{PATH}/rollback"), 200)
    service.delete(f"/package/{second}")
    again = ready(service, "toolbox")
    assert activate(service, again) == 2, "Nix gives the newest number again to the same tree"
    assert expect(service.post(f"{PATH}/rollback"), 200)["generation"] == 1
    check_truth(service)


@pytest.mark.parametrize("verb", ["switch", "rollback"])
def test_where_nothing_was_ever_activated_there_is_nothing_to_go_back_to(service: Service, verb: str) -> None:
    body = {"generation": 1} if verb == "switch" else None
    expect_problem(service.post(f"{PATH}/{verb}", body), 404, "not_found")


def test_an_old_generation_works_after_its_package_was_deleted(service: Service) -> None:
    old, new = ready(service, "tool", "1.2"), ready(service, "tool", "3.0")
    activate(service, old)
    activate(service, new)
    assert service.delete(f"/package/{old}").status_code == 204
    shown = expect(service.post(f"{PATH}/rollback"), 200)
    assert shown["packages"] == [{"id": None, "name": "tool", "version": "1.2"}]
    assert (profile_of(service) / "bin/tool").read_text() == "1.2\n"
    assert service.package(new)["status"] == "downloaded"
    activate(service, new)
    check_truth(service)


# By hand, with nix-env.


def nix_env(service: Service, *arguments: str) -> None:
    """What an operator does behind the service's back."""
    command = ["nix-env", "-p", str(profile_of(service)), *arguments]
    subprocess.run(command, env=host_of(service).runtime.env, check=True, capture_output=True)


def test_a_rollback_by_hand_is_noticed_by_the_next_change(service: Service) -> None:
    first, second = ready(service, "tool"), ready(service, "toolbox")
    activate(service, first)
    activate(service, second)
    nix_env(service, "--rollback")
    assert activate(service, first) == 1
    assert service.package(second)["status"] == "downloaded"
    check_truth(service)
    assert expect(service.post(f"{PATH}/rollback"), 200)["generation"] == 2, "what was live before the hand came"


def test_a_known_tree_that_was_set_by_hand_has_its_packages(service: Service) -> None:
    first, second = ready(service, "tool"), ready(service, "toolbox")
    activate(service, first)
    tree = os.readlink(profile_of(service).with_name("profile-1-link"))
    activate(service, second)
    nix_env(service, "--set", tree)
    assert activate(service, first) == 3
    assert [package["id"] for package in environment(service)["packages"]] == [first]
    check_truth(service)


def test_a_tree_that_nobody_knows_is_live_without_packages(service: Service) -> None:
    first = ready(service, "tool")
    activate(service, first)
    nix_env(service, "--set", service.package(ready(service, "toolbox"))["artifact"])
    expect(service.post(f"/package/{first}/deactivate"), 200)
    assert environment(service)["generation"] == 2 and environment(service)["packages"] == []
    assert service.package(first)["status"] == "downloaded"
    check_truth(service)


def test_a_number_that_was_made_anew_by_hand_does_not_have_its_old_packages(service: Service) -> None:
    first, second, third = ready(service, "tool"), ready(service, "toolbox"), ready(service, "with+plus", "1.0")
    activate(service, first)
    activate(service, second)
    nix_env(service, "--rollback")
    nix_env(service, "--delete-generations", "2")
    nix_env(service, "--set", service.package(third)["artifact"])
    expect(service.post(f"/package/{second}/deactivate"), 200)
    assert environment(service)["generation"] == 2 and environment(service)["packages"] == []
    check_truth(service)


def test_a_profile_that_was_removed_by_hand_is_made_anew(service: Service) -> None:
    first = ready(service, "tool")
    activate(service, first)
    profile_of(service).unlink()
    assert expect(service.post(f"/package/{first}/deactivate"), 200) == {"status": "downloaded", "generation": None}
    assert environment(service)["generation"] is None
    check_truth(service)
    assert activate(service, first) > 0
    assert Path(environment(service)["path"], "bin/tool").exists()
    check_truth(service)
