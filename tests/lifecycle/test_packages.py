"""Recording, listing, counting and deleting packages."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from example.errors import Invalid
from example.lifecycle import packages
from tests.lifecycle.scripted import Held, actor_of, core_of, gives, script
from tests.service import Service, expect, expect_problem


def test_a_new_package_is_created_and_nothing_more(service: Service) -> None:
    made = expect(service.post("/packages", {"name": "hello", "version": "2.1.0"}), 201)
    assert made["status"] == "created"
    assert {made[name] for name in ("downloaded_at", "activated_at", "size", "artifact", "error", "task_id")} == {None}
    assert made["environments"] == []


def test_of_many_who_create_the_same_package_one_does(service: Service) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: service.post("/packages", {"name": "hello", "version": "1.0"}), range(8)))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 7]
    made = next(answer.json()["id"] for answer in answers if answer.status_code == 201)
    assert {answer.json()["package_id"] for answer in answers if answer.status_code == 409} == {made}


def test_an_unknown_source_is_refused_with_those_there_are(service: Service) -> None:
    core = core_of(service)
    with pytest.raises(Invalid, match="there is no source 'cargo'; use one of: nix"):
        core.database.transact(
            lambda session: packages.create(session, actor_of(service), core.sources, source="cargo", name="hello", version="1.0")
        )


def test_lists_are_filtered_by_status_name_and_source(service: Service) -> None:
    one, two = service.create("hello", "1.0.0"), service.create("hello", "2.0.0")
    other = service.create("cowsay", "3.8.4")
    service.post(f"/package/{two}/download")

    def ids(**wanted: str) -> list[int]:
        return [package["id"] for package in expect(service.get("/packages", params=wanted), 200)]

    assert ids() == [one, two, other]
    assert ids(name="hello") == [one, two]
    assert ids(status="downloading") == [two]
    assert ids(source="nix", status="created", name="cowsay") == [other]


@pytest.mark.parametrize(
    ("wanted", "total"), [({}, 3), ({"status": "created"}, 2), ({"source": "nix"}, 3), ({"name": "hello"}, 2), ({"status": "failed"}, 0)]
)
def test_the_total_counts_what_matches_beyond_the_page(service: Service, wanted: dict[str, str], total: int) -> None:
    service.create("hello", "1.0.0")
    service.post(f"/package/{service.create('hello', '2.0.0')}/download")
    service.create("cowsay", "3.8.4")
    assert service.get("/packages", params=wanted | {"limit": "1"}).headers["x-total-count"] == str(total)


def test_a_page_begins_behind_the_last_one(service: Service) -> None:
    made = [service.create("hello", f"{number}.0") for number in range(5)]
    first = service.get("/packages", params={"limit": 2})
    assert [package["id"] for package in first.json()] == made[:2]
    assert [package["id"] for package in service.http.get(first.links["next"]["url"]).json()] == made[2:4]


def test_a_token_for_some_names_counts_those_only(service: Service) -> None:
    service.create("hello", "1.0.0")
    service.create("cowsay", "3.8.4")
    limited = service.with_token(service.new_token(resources=["cow*"])["token"])
    answer = service.get("/packages", headers=limited)
    assert [package["name"] for package in answer.json()] == ["cowsay"]
    assert answer.headers["x-total-count"] == "1"


def test_a_deleted_package_is_gone_and_can_be_created_again_with_another_id(service: Service) -> None:
    package_id = service.create()
    assert service.delete(f"/package/{package_id}").status_code == 204
    expect_problem(service.get(f"/package/{package_id}"), 404, "not_found")
    assert service.get("/packages").headers["x-total-count"] == "0"
    assert service.create() > package_id


def test_a_package_that_is_being_downloaded_cannot_be_deleted(service: Service) -> None:
    package_id = service.create()
    task_id = service.post(f"/package/{package_id}/download").json()["task_id"]
    problem = expect_problem(service.delete(f"/package/{package_id}"), 409, "package_busy")
    assert problem["task_id"] == task_id and task_id in problem["detail"]


def test_an_active_package_cannot_be_deleted_until_it_is_deactivated(working: Service) -> None:
    package_id = working.ready()
    expect(working.post(f"/package/{package_id}/activate"), 200)
    expect_problem(working.delete(f"/package/{package_id}"), 409, "invalid_status")
    expect(working.post(f"/package/{package_id}/deactivate"), 200)
    assert working.delete(f"/package/{package_id}").status_code == 204


def test_deleting_a_package_lets_the_collector_have_its_artifact(working: Service) -> None:
    source = script(working, gives())
    package_id = working.ready()
    assert source.forgotten == []
    working.delete(f"/package/{package_id}")
    assert source.forgotten == [package_id]


def test_a_package_deleted_while_its_cancelled_job_still_ends_stays_deleted(working: Service) -> None:
    held = Held()
    source = script(working, held)
    package_id = working.create()
    task_id = working.post(f"/package/{package_id}/download").json()["task_id"]
    assert held.begun.wait(10)
    expect(working.post(f"/jobs/{task_id}/cancel"), 200)
    held.go_on.set()
    assert working.delete(f"/package/{package_id}").status_code == 204
    expect_problem(working.get(f"/package/{package_id}"), 404, "not_found")
    assert expect(working.get(f"/jobs/{task_id}"), 200)["package_id"] is None
    assert source.forgotten[0] == package_id
