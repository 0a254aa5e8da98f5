"""A job that this process queues begins at once, however slowly it polls."""

from __future__ import annotations

import time

from example.config import Settings
from tests.jobs.test_queue import working_with
from tests.lifecycle.scripted import gives, script
from tests.service import Service


def test_who_queues_a_job_wakes_the_look_for_it(settings: Settings) -> None:
    with working_with(settings.model_copy(update={"job_poll_seconds": 30.0})) as service:
        script(service, gives())
        asked = time.monotonic()
        assert service.download(service.create())["status"] == "downloaded"
        assert time.monotonic() - asked < 10
        asked = time.monotonic()
    assert time.monotonic() - asked < 8, "the stop waited for the next poll"


def test_a_job_that_others_queue_is_found_by_the_poll(working: Service) -> None:
    source = script(working, gives())
    package_id = working.create()
    working.download(package_id)
    assert source.fetches == 1
