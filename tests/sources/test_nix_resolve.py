"""Which attribute of which pin a name and version mean."""

from __future__ import annotations

import http.server
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from example.config import Settings
from example.nix.pins import Pin, parse_pins
from example.nix.running import Ended
from example.nix.runtime import NixRuntime
from example.sources import nix
from example.sources.nix import NixSource
from example.sources.protocol import BuildFailed, NotAvailable, SourceUnavailable
from tests.nixstore import SETS, Remembering, fetch, make_settings


@pytest.mark.parametrize(
    ("name", "version", "package"),
    [
        ("tool", "3.0", "tool-3.0"),
        ("tool", "1.2", "tool-1.2"),
        ("tool", "1.0", "tool-1.0"),
        ("tool", "2.0", "tool-2.0"),
        ("tool_1_2", "1.2", "tool-1.2"),
        ("old-style", "5.2p26", "old-style-5.2p26"),
        ("with+plus", "1.0", "with+plus-1.0"),
        ("python3Packages.requests", "2.31.0", "requests-2.31.0"),
    ],
)
def test_a_package_is_found_by_its_attribute_or_a_variant(nix_settings: Settings, name: str, version: str, package: str) -> None:
    artifact = fetch(nix_settings, name, version)
    assert artifact.path.endswith(f"-{package}") and artifact.pin == "test"
    assert artifact.derivation and artifact.derivation.endswith(f"-{package}.drv")


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("tool", "7.0"),  # tool1extra is another package
        ("tool", "0.1"),  # tool_1_2-doc too
        ("tool", "9"),  # throws
        ("tool", "8.0"),  # is no derivation
        ("oddly-versioned", "1"),
        ("python3Packages", "1.0"),
        ("python3Packages.none.requests", "1.0"),
        ("tool.none.deeper", "1.0"),
        ("config", "1.0"),
    ],
)
def test_what_throws_or_is_something_else_is_not_available(nix_settings: Settings, name: str, version: str) -> None:
    with pytest.raises(NotAvailable, match="is not available"):
        fetch(nix_settings, name, version)


def test_versions_that_there_are_are_listed_newest_first(nix_settings: Settings) -> None:
    with pytest.raises(NotAvailable) as missing:
        fetch(nix_settings, "tool", "99")
    assert str(missing.value) == "tool 99 is not available; versions: 3.0 (test), 2.0 (test), 1.2 (test), 1.0 (test)"


def test_the_outputs_that_are_installed_are_built_rooted_and_returned(nix_settings: Settings) -> None:
    artifact = fetch(nix_settings, "several", package_id=12)
    assert [path.rpartition("-")[2] for path in artifact.outputs] == ["bin", "doc"]
    roots = NixRuntime.of(nix_settings).roots
    assert {name: os.readlink(roots / name) for name in os.listdir(roots)} == dict(zip(("12-bin", "12-doc"), artifact.outputs, strict=True))


@pytest.mark.parametrize(("name", "ending"), [("several-default", "-lib"), ("several-throwing", "-1.0")])
def test_without_usable_meta_the_default_output_is_installed(nix_settings: Settings, name: str, ending: str) -> None:
    (output,) = fetch(nix_settings, name).outputs
    assert output.endswith(ending)


def test_forgetting_takes_the_packages_own_roots_only(nix_settings: Settings) -> None:
    fetch(nix_settings, "several", package_id=1)
    fetch(nix_settings, "tool", "3.0", package_id=12)
    roots = NixRuntime.of(nix_settings).roots
    (roots / "1-notes").write_text("no link")
    NixSource.from_settings(nix_settings).forget(1)
    assert sorted(os.listdir(roots)) == ["1-notes", "12"]


def test_the_first_pin_that_has_the_version_wins_and_later_ones_are_not_opened(tmp_path: Path, nix_store: Path) -> None:
    settings = make_settings(tmp_path / "data", nix_root=nix_store, nix_pins=f"one={tmp_path}/small.nix,test={SETS},bad=/nowhere")
    (tmp_path / "small.nix").write_text(
        'let d = derivation { name = "tool-3.0"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo 1 > $out" ]; };'
        ' in { tool = d // { version = "3.0"; }; }'
    )
    first = fetch(settings, "tool", "3.0")
    assert first.pin == "one" and Path(first.path).read_text() == "1\n"
    assert fetch(settings, "tool", "1.2").pin == "test"
    with pytest.raises(SourceUnavailable, match="package set 'bad'"):
        fetch(settings, "tool", "99")


def test_a_pin_behind_a_symbolic_link_is_followed(tmp_path: Path, nix_store: Path) -> None:
    (tmp_path / "channel").symlink_to(SETS)
    assert fetch(make_settings(tmp_path, nix_root=nix_store, nix_pins=f"link={tmp_path}/channel"), "tool", "3.0").pin == "link"


@pytest.mark.parametrize(
    ("name", "words"),
    [("unfree", "unfree has an unfree licence"), ("cyclic", "infinite recursion"), ("nothing", "string"), ("stealing", "restricted mode")],
)
def test_a_package_that_cannot_be_evaluated_says_why(nix_settings: Settings, name: str, words: str) -> None:
    with pytest.raises(BuildFailed, match=words) as failed:
        fetch(nix_settings, name)
    assert f"{name} 1.0 ({name}) can't be evaluated" in str(failed.value)


def test_a_set_with_a_syntax_error_is_unavailable(tmp_path: Path, nix_store: Path) -> None:
    (tmp_path / "default.nix").write_text("{ tool = ;")
    with pytest.raises(SourceUnavailable, match="package set 'mine' .*syntax error"):
        fetch(make_settings(tmp_path, nix_root=nix_store, nix_pins=f"mine={tmp_path}"), "tool", "3.0")


HOSTILE = [
    "${builtins.abort 1}",
    "a'b",
    'a"b',
    "--help",
    "-A",
    "a\nb",
    "x" * 10_000,
    "$(touch /tmp/pwned)",
    "tool;id",
    "tool.",
    "",
    "../tool",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_only_ever_a_string_to_the_resolver(
    nix_settings: Settings, hostile: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Even past check(): the resolver itself must not run, read or build anything for such a name or version."""
    monkeypatch.setattr(NixSource, "check", lambda *_: None)
    for name, version in ((hostile, "1.0"), ("tool", hostile)):
        with pytest.raises((NotAvailable, SourceUnavailable)):
            fetch(nix_settings, name, version)
    assert os.listdir(NixRuntime.of(nix_settings).roots) == []


def test_an_answer_without_an_output_is_a_failure(nix_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(argv: list[str], env: dict[str, str], take: object) -> Ended:
        return Ended(0, "")

    monkeypatch.setattr(nix, "follow", nothing)
    with pytest.raises(BuildFailed, match="gave no output"):
        fetch(nix_settings, "tool", "3.0")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address of a server that has the tests' package set as a tarball."""
    folder = tmp_path / "web"
    folder.mkdir()
    with tarfile.open(folder / "set.tar.gz", "w:gz") as archive:
        archive.add(SETS, arcname="set")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def sha256_of(folder: Path) -> str:
    argv = ["nix-hash", "--type", "sha256", "--base32", str(folder)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def test_a_tarball_under_its_hash_is_a_pin(tmp_path: Path, nix_store: Path, web: str) -> None:
    pins = f"web={web}/set.tar.gz#sha256={sha256_of(SETS)}"
    assert fetch(make_settings(tmp_path, nix_root=nix_store, nix_pins=pins), "tool", "1.2").pin == "web"


def test_a_tarball_with_other_contents_is_refused(tmp_path: Path, web: str) -> None:
    pins = f"web={web}/set.tar.gz#sha256={'0' * 52}"
    with pytest.raises(SourceUnavailable, match="hash mismatch"):
        fetch(make_settings(tmp_path, nix_pins=pins), "tool", "1.2")


def test_a_server_that_is_gone_makes_the_pin_unavailable(tmp_path: Path) -> None:
    pins = f"web=http://127.0.0.1:9/set.tar.gz#sha256={'0' * 52}"
    with pytest.raises(SourceUnavailable, match="package set 'web'.*unable to download"):
        fetch(make_settings(tmp_path, nix_pins=pins), "tool", "1.2")


def test_a_timeout_of_the_listener_is_not_taken_for_the_evaluations(nix_settings: Settings) -> None:
    class Failing(Remembering):
        def progress(self, done: int, expected: int, phase: str) -> None:
            if phase == "building":
                raise TimeoutError("the listener's own")

    with pytest.raises(SourceUnavailable, match="the listener's own"):
        fetch(nix_settings, "tool", "3.0", report=Failing())


def test_pins_are_parsed_before_anything_is_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="NIX_PINS"):
        NixSource.from_settings(make_settings(tmp_path, nix_pins="nonsense"))
    assert parse_pins("a=/x") == (Pin("a", path="/x"),)
