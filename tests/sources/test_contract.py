"""What every source promises (``example/sources/protocol.py``), tested on each that there is."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from example.config import Settings
from example.errors import Invalid
from example.sources import SOURCES, Artifact, FetchRequest, NotAvailable, Source, make_sources
from tests.nixstore import Remembering

SAMPLES = {"nix": ("tool", "3.0")}
"""Per source a package that its test settings have."""


@pytest.fixture(params=sorted(SOURCES))
def source(request: pytest.FixtureRequest, nix_settings: Settings) -> Source:
    return make_sources(nix_settings)[request.param]


def fetched(source: Source, package_id: int, version: str | None = None) -> Artifact:
    name, sample = SAMPLES[source.name]
    return asyncio.run(source.fetch(FetchRequest(package_id, name, version or sample), Remembering()))


def test_a_source_is_registered_under_its_own_name(source: Source, nix_settings: Settings) -> None:
    assert make_sources(nix_settings)[source.name].name == source.name


def test_sources_are_made_without_their_tools_and_touch_nothing(
    nix_settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert set(make_sources(nix_settings)) == set(SOURCES)
    assert not nix_settings.data_dir.exists()


def test_the_patterns_are_regular_expressions_that_take_a_real_package(source: Source) -> None:
    name, version = SAMPLES[source.name]
    assert re.search(source.name_pattern, name) and re.search(source.version_pattern, version)
    source.check(name, version)


@pytest.mark.parametrize("hostile", ["", "--help", "-A", "a/../b", "a\nb", "${x}", "a b", "\x00", "x" * 10_000, "'; id", '"', "$(id)"])
def test_what_is_no_name_or_version_is_refused_by_field(source: Source, hostile: str) -> None:
    name, version = SAMPLES[source.name]
    with pytest.raises(Invalid) as wrong_name:
        source.check(hostile, version)
    with pytest.raises(Invalid) as wrong_version:
        source.check(name, hostile)
    assert wrong_name.value.extra["errors"][0]["field"] == "name" and wrong_version.value.extra["errors"][0]["field"] == "version"
    assert len(str(wrong_name.value)) < 400


def test_a_fetch_brings_the_package_and_says_where_it_is(source: Source) -> None:
    artifact = fetched(source, 1)
    assert Path(artifact.path).exists() and artifact.outputs[0] == artifact.path
    assert artifact.size is None or artifact.size > 0


def test_fetching_twice_is_the_same_as_once(source: Source) -> None:
    assert fetched(source, 1) == fetched(source, 1)


def test_fetches_of_one_package_may_run_at_once(source: Source) -> None:
    name, version = SAMPLES[source.name]

    async def both() -> list[Artifact]:
        return await asyncio.gather(*(source.fetch(FetchRequest(number, name, version), Remembering()) for number in (1, 2)))

    one, other = asyncio.run(both())
    assert one == other


def test_a_version_that_there_is_none_of_is_not_available(source: Source) -> None:
    with pytest.raises(NotAvailable, match=r"999\.0 is not available; versions: ") as missing:
        fetched(source, 1, "999.0")
    assert SAMPLES[source.name][1] in str(missing.value)


def test_a_name_that_check_refuses_is_not_fetched_either(source: Source) -> None:
    with pytest.raises(NotAvailable):
        asyncio.run(source.fetch(FetchRequest(1, "--help", "1.0"), Remembering()))


def test_forgetting_what_was_never_kept_is_no_error(source: Source) -> None:
    source.forget(4711)
    fetched(source, 1)
    source.forget(1)
    source.forget(1)


def test_a_cancelled_fetch_ends_as_cancelled(source: Source) -> None:
    async def scenario() -> None:
        name, version = SAMPLES[source.name]
        task = asyncio.create_task(source.fetch(FetchRequest(1, name, version), Remembering()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
