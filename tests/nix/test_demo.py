"""The bundled package set: builds here, and its programs run."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from example.config import Settings
from example.sources.protocol import BuildFailed, NotAvailable
from tests.nixstore import Remembering, fetch, make_settings


@pytest.fixture
def demo(tmp_path: Path, nix_store: Path) -> Settings:
    return make_settings(tmp_path, nix_root=nix_store, nix_pins="", nix_sandbox_paths="")


def run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=10).stdout


@pytest.mark.parametrize(
    ("version", "greeting"), [("1.0.0", "hello, world"), ("2.0.0", "Hello, world!"), ("2.1.0", "Hello, wonderful world!")]
)
def test_every_hello_greets(demo: Settings, version: str, greeting: str) -> None:
    program = f"{fetch(demo, 'hello', version).path}/bin/hello"
    assert run(program).strip() == greeting and run(program, "--version").strip() == f"hello {version}"


def test_greeter_greets_through_hello(demo: Settings) -> None:
    assert "Hello, wonderful world!" in run(f"{fetch(demo, 'greeter', '1.0.0').path}/bin/greeter")


def test_cowsay_says(demo: Settings) -> None:
    assert "< well done >" in run(f"{fetch(demo, 'cowsay', '3.8.4').path}/bin/cowsay", "well", "done")


def test_the_manual_brings_both_outputs(demo: Settings) -> None:
    out, doc = fetch(demo, "manual", "1.2.0").outputs
    assert "share/doc" in run(f"{out}/bin/manual") and Path(doc, "share/doc/manual/README").is_file()


def test_countdown_takes_seconds_and_says_how_far_it_is(demo: Settings) -> None:
    report, began = Remembering(), time.monotonic()
    fetch(demo, "countdown", "1.0.0", report=report)
    assert 5 < time.monotonic() - began < 20
    assert "countdown-1.0.0> countdown: 6 seconds left\n" in report.text and "1 seconds left" in report.text


def test_broken_says_why(demo: Settings) -> None:
    with pytest.raises(BuildFailed, match="libfrobnicate 2.0 or newer is needed") as failed:
        fetch(demo, "broken", "1.0.0")
    assert str(failed.value).endswith("was not found")


def test_antique_and_nested_packages_are_found(demo: Settings) -> None:
    assert fetch(demo, "antique", "5.2p26").path.endswith("-antique-5.2p26")
    assert "nested" in run(f"{fetch(demo, 'nested.hello-nested', '1.0.0').path}/bin/hello-nested")


def test_what_was_removed_is_not_available(demo: Settings) -> None:
    with pytest.raises(NotAvailable, match="no package of that name in demo"):
        fetch(demo, "removed", "1.0")
