"""A process that dies in the middle of a change: the next start, and the next change, find out what is true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from example.environments.health import HealthCheck
from example.environments.host import exclusive
from example.lifecycle import activations, reconciling, switching
from example.lifecycle.reconciling import reconcile_all, set_active
from example.models import Switch
from example.nix import profile as nix_profile
from tests.lifecycle.ready import activate, bench_of, check_truth, environment, host_of, programs, ready
from tests.lifecycle.scripted import actor_of, core_of
from tests.service import Service, expect

UNHEALTHY = HealthCheck(command=("there-is-no-such-program",))


class Killed(BaseException):
    """Stands for kill -9: no handler of ours sees it."""


def dies_before(*_: object) -> None:
    """Never begins."""
    raise Killed


def dies_after(really: Callable[..., Any]) -> Callable[..., Any]:
    """Does its work, and dies before anybody hears of it."""

    def call(*arguments: Any, **more: Any) -> None:
        really(*arguments, **more)
        raise Killed

    return call


# Where it dies: (module, function, what stands in for it, whether the new generation is live then)
POINTS: dict[str, tuple[Any, str, Callable[..., Any], bool]] = {
    "before the journal": (switching, "_store_path", dies_before, False),
    "after the journal": (nix_profile, "set_profile", dies_before, False),
    "after the switch": (nix_profile, "set_profile", dies_after(nix_profile.set_profile), True),
    "in the last transaction": (switching, "set_active", dies_after(set_active), True),
    "after going back": (switching, "_go_back", dies_after(switching._go_back), False),
    "before going back": (switching, "_go_back", dies_before, True),
}


def die(service: Service, monkeypatch: pytest.MonkeyPatch, point: str, package_id: int) -> bool:
    """Activate a package and die at this point; answers whether it is live."""
    module, name, instead, live = POINTS[point]
    with monkeypatch.context() as patch:
        patch.setattr(module, name, instead)
        with pytest.raises(Killed):
            activations.activate(bench_of(service), actor_of(service), package_id, UNHEALTHY if "back" in point else None)
    return live


def outcomes(service: Service) -> list[str | None]:
    """The journal."""
    with core_of(service).database.read() as session:
        return list(session.scalars(select(Switch.outcome).order_by(Switch.id)))


@pytest.mark.parametrize("point", POINTS)
def test_the_next_start_tells_the_truth(service: Service, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    first, second = ready(service, "tool"), ready(service, "toolbox")
    activate(service, first)
    live = die(service, monkeypatch, point, second)
    reconcile_all(core_of(service).database, host_of(service))
    assert programs(service) == (["tool", "toolbox"] if live else ["tool"])
    assert service.package(second)["status"] == ("activated" if live else "downloaded")
    assert None not in outcomes(service)
    check_truth(service)


@pytest.mark.parametrize("point", POINTS)
def test_the_next_change_tells_the_truth_first(service: Service, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    first = ready(service, "tool")
    live = die(service, monkeypatch, point, first)
    second = ready(service, "toolbox")
    activate(service, second)
    assert programs(service) == (["tool", "toolbox"] if live else ["toolbox"])
    assert service.package(first)["status"] == ("activated" if live else "downloaded")
    assert None not in outcomes(service)
    check_truth(service)


@pytest.mark.parametrize("point", ["after the journal", "after the switch", "in the last transaction"])
def test_dying_twice_is_no_worse(service: Service, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    first, second = ready(service, "tool"), ready(service, "toolbox")
    die(service, monkeypatch, point, first)
    with monkeypatch.context() as patch:
        patch.setattr(reconciling, "set_active", dies_after(reconciling.set_active))
        if POINTS[point][3]:
            with pytest.raises(Killed):
                reconcile_all(core_of(service).database, host_of(service))
    live = die(service, monkeypatch, point, second)
    reconcile_all(core_of(service).database, host_of(service))
    assert (service.package(second)["status"] == "activated") == live
    check_truth(service)


def test_a_return_that_died_is_recorded(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ready(service, "tool"), ready(service, "toolbox")
    activate(service, first)
    activate(service, second)
    with monkeypatch.context() as patch:
        patch.setattr(nix_profile, "switch", dies_after(nix_profile.switch))
        with pytest.raises(Killed):
            activations.switch(bench_of(service), actor_of(service), 1)
    reconcile_all(core_of(service).database, host_of(service))
    assert environment(service)["generation"] == 1
    assert service.package(second)["status"] == "downloaded"
    check_truth(service)
    assert expect(service.post("/environments/nix/default/rollback"), 200)["generation"] == 2


def test_a_start_leaves_an_environment_to_who_is_changing_it(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ready(service)
    die(service, monkeypatch, "after the switch", first)
    with exclusive(host_of(service), 1):
        reconcile_all(core_of(service).database, host_of(service))
        assert service.package(first)["status"] == "downloaded"
    reconcile_all(core_of(service).database, host_of(service))
    assert service.package(first)["status"] == "activated"


def test_a_start_with_nothing_to_say_writes_nothing(service: Service) -> None:
    activate(service, ready(service))
    before = outcomes(service), environment(service)
    reconcile_all(core_of(service).database, host_of(service))
    assert (outcomes(service), environment(service)) == before
