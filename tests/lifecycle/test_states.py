"""The table of statuses: what it allows, and that the kept counts follow whatever happens."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from example.core import Core
from example.environments import history
from example.environments.history import Member
from example.errors import JobFinished, PackageMasterError
from example.identity.actor import Actor
from example.lifecycle import downloads, packages
from example.lifecycle.reconciling import set_active
from example.lifecycle.states import TRANSITIONS, Status, check
from example.models import Environment, Job, Package, PackageCount
from example.sources import Artifact
from tests.lifecycle.scripted import actor_of, core_of
from tests.nixstore import unhurried
from tests.service import Service

ALLOWED = {
    ("created", "downloading"),
    ("downloading", "downloaded"),
    ("downloading", "failed"),
    ("failed", "downloading"),
    ("downloaded", "activated"),
    ("downloaded", "downloading"),  # the store has lost it
    ("downloaded", "downloading"),
    ("activated", "downloaded"),
}


@pytest.mark.parametrize(("current", "target"), list(itertools.product(Status, Status)))
def test_a_status_changes_along_the_table_only(current: Status, target: Status) -> None:
    package = Package(id=7, name="hello", version="1.0", status=current)
    if (current, target) in ALLOWED:
        check(package, target)
        return
    with pytest.raises(PackageMasterError, match=rf"package 7 \(hello 1.0\) is {current}, so it can't become {target}; ") as caught:
        check(package, target)
    assert caught.value.code == "invalid_status"
    assert caught.value.extra == {"status_now": current}


def test_every_status_can_be_reached_and_left() -> None:
    assert set(TRANSITIONS) == set(Status)
    assert set().union(*TRANSITIONS.values()) == set(Status) - {Status.CREATED}


class Lifecycles(RuleBasedStateMachine):
    """Any sequence of verbs, on three packages."""

    core: Core
    actor: Actor
    names = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.prefix = f"p{next(self.names)}-"
        self.tasks: list[str] = []
        self.last: dict[int, str] = {}
        self.numbers = itertools.count(1)
        self.environment_id = self.core.database.transact(lambda session: history.get_or_create(session, 1, "nix", self.prefix).id)

    def _package(self, session: Session, which: int) -> Package | None:
        return session.scalar(select(Package).where(Package.name == f"{self.prefix}{which}"))

    @rule(which=st.integers(0, 2))
    def create(self, which: int) -> None:
        self._try(
            lambda session: packages.create(
                session, self.actor, self.core.sources, source="nix", name=f"{self.prefix}{which}", version="1.0"
            )
        )

    @rule(which=st.integers(0, 2))
    def download(self, which: int) -> None:
        def ask(session: Session) -> None:
            if package := self._package(session, which):
                begun = downloads.start(session, self.actor, self.core.queue, package.id)
                self.tasks += [begun.task_id] if begun.task_id else []

        self._try(ask)

    @rule(at=st.integers(0, 3), what=st.sampled_from(["begin", "succeed", "fail", "cancel"]))
    def work(self, at: int, what: str) -> None:
        if not self.tasks:
            return
        task_id = self.tasks[-1 - at % len(self.tasks)]
        artifact = Artifact("/s/x", ("/s/x",))
        verbs = {
            "begin": lambda session: downloads.begin(session, task_id),
            "succeed": lambda session: downloads.succeed(session, task_id, artifact),
            "fail": lambda session: downloads.fail(session, task_id, "because"),
            "cancel": lambda session: downloads.cancel(session, self.actor, task_id),
        }
        self._try(verbs[what])

    @rule(wanted=st.sets(st.integers(0, 2)))
    def go_live(self, wanted: set[int]) -> None:
        def switch(session: Session) -> None:
            ready = [found for which in wanted if (found := self._package(session, which)) and found.status in ("downloaded", "activated")]
            members = [Member(package.id, package.name, package.version, ("/s/x",)) for package in ready]
            set_active(session, session.get_one(Environment, self.environment_id), next(self.numbers), "/s/e", members)

        self._try(switch)

    @rule(which=st.integers(0, 2))
    def delete(self, which: int) -> None:
        def remove(session: Session) -> None:
            if package := self._package(session, which):
                packages.remove(session, self.actor, package.id)

        self._try(remove)

    def _try(self, verb: object) -> None:
        try:
            self.core.database.transact(verb)  # type: ignore[arg-type]
        except PackageMasterError:
            return

    @invariant()
    def counts_are_right(self) -> None:
        with self.core.database.read() as session:
            there = Counter(session.scalars(select(Package.status)))
            kept = {row.status: row.packages for row in session.scalars(select(PackageCount)) if row.packages}
        assert kept == there

    @invariant()
    def statuses_moved_along_the_table(self) -> None:
        with self.core.database.read() as session:
            now = {package.id: package.status for package in session.scalars(select(Package).where(Package.name.startswith(self.prefix)))}
        for package_id, status in now.items():
            before = self.last.get(package_id, "created")
            assert before == status or (before, status) in ALLOWED, (before, status)
        self.last = now

    @invariant()
    def a_package_is_downloading_while_its_job_is_open(self) -> None:
        with self.core.database.read() as session:
            query = select(Package.id).where(Package.name.startswith(self.prefix), Package.status == "downloading")
            downloading = set(session.scalars(query))
            opened = select(Job.package_id).join(Package, Package.id == Job.package_id)
            opened = opened.where(Package.name.startswith(self.prefix), Job.state.in_(["queued", "running"]))
            assert sorted(downloading) == sorted(filter(None, session.scalars(opened)))


def test_whatever_happens_the_counts_are_kept_and_the_statuses_follow_the_table(service: Service) -> None:
    class Machine(Lifecycles):
        core, actor = core_of(service), actor_of(service)

    run_state_machine_as_test(Machine, settings=hypothesis_settings(unhurried, max_examples=15, stateful_step_count=20))


def test_the_counts_of_many_statuses_add_up(service: Service) -> None:
    first, second = service.create("hello", "1.0.0"), service.create("hello", "2.0.0")
    service.post(f"/package/{first}/download")
    with core_of(service).database.read() as session:
        assert session.scalar(select(func.sum(PackageCount.packages))) == 2
    assert second != first


def test_a_job_that_has_ended_cannot_be_cancelled(service: Service) -> None:
    package_id = service.create()
    task_id = service.post(f"/package/{package_id}/download").json()["task_id"]
    database = core_of(service).database
    database.transact(lambda session: downloads.fail(session, task_id, "because"))
    with pytest.raises(JobFinished, match=r"has ended \(failed\)"):
        database.transact(lambda session: downloads.cancel(session, actor_of(service), task_id))
