"""NIX_PINS: its syntax, its errors, and what stands in when it is empty."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from example.nix.pins import DEMO, DEMO_SET, Pin, find_nixpkgs, parse_pins, pins_of
from tests.nixstore import make_settings, unhurried

SHA = "0" * 52
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}", fullmatch=True)
PLACES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters=",#"), max_size=30)


def test_a_path_and_a_url_are_read_in_their_order() -> None:
    url = f"https://example.org/set.tar.gz#sha256={SHA}"
    assert parse_pins(f"mine=/srv/set, other={url},") == (
        Pin("mine", path="/srv/set"),
        Pin("other", url="https://example.org/set.tar.gz", sha256=SHA),
    )


@pytest.mark.parametrize("sha", [SHA, "f" * 64, "sha256-" + "A" * 43 + "="])
def test_every_spelling_of_a_hash_is_taken(sha: str) -> None:
    assert parse_pins(f"a=http://h/x#sha256={sha}")[0].sha256 == sha


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("nixpkgs", "name=/absolute/path"),
        ("a=", "name=/absolute/path"),
        ("=/path", "up to 64 letters"),
        ("-x=/path", "up to 64 letters"),
        ("a=relative/path", "absolute path"),
        ("a=ftp://host/x#sha256=" + SHA, "http(s) or file URL"),
        ("a=https://host/x", "nix-prefetch-url --unpack https://host/x"),
        ("a=https://host/x#md5=1", "nix-prefetch-url"),
        ("a=https://host/x#sha256=short", "nix-prefetch-url"),
        ("a=/path#sha256=" + SHA, "takes no #sha256"),
        ("a=/x,a=/y", "'a' twice"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_remedy(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match="NIX_PINS") as refused:
        parse_pins(text)
    assert remedy in str(refused.value)


@unhurried
@given(st.lists(st.tuples(NAMES, PLACES), unique_by=lambda pair: pair[0], max_size=5))
def test_what_was_written_is_what_is_read(entries: list[tuple[str, str]]) -> None:
    pins = parse_pins(",".join(f"{name}=/{place}" for name, place in entries))
    assert [(pin.name, pin.path) for pin in pins] == [(name, f"/{place}") for name, place in entries]


@unhurried
@given(st.text())
def test_any_text_gives_pins_or_a_value_error(text: str) -> None:
    pins: tuple[Pin, ...] = ()
    with suppress(ValueError):
        pins = parse_pins(text)
    assert all((pin.path or "").startswith("/") or (pin.url and pin.sha256) for pin in pins)


def test_nixpkgs_of_nix_path_is_found_as_an_entry_or_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "nixpkgs").mkdir()
    assert find_nixpkgs(f"nixpkgs={tmp_path}") == str(tmp_path)
    assert find_nixpkgs(f"other=/x:{tmp_path}") == str(tmp_path / "nixpkgs")


def test_urls_channels_and_missing_folders_are_no_nixpkgs(tmp_path: Path) -> None:
    assert find_nixpkgs(f"nixpkgs=https://host/x.tar.gz:nixpkgs=channel:nixos:nixpkgs={tmp_path}/gone::{tmp_path}") is None


def test_pins_are_the_setting_else_nixpkgs_else_the_demo_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIX_PATH", f"nixpkgs={tmp_path}")
    assert pins_of(make_settings(tmp_path, nix_pins="mine=/x")) == (Pin("mine", path="/x"),)
    assert pins_of(make_settings(tmp_path, nix_pins="")) == (Pin("nixpkgs", path=str(tmp_path)),)
    monkeypatch.delenv("NIX_PATH")
    assert pins_of(make_settings(tmp_path, nix_pins="")) == (DEMO,)
    assert (DEMO_SET / "default.nix").is_file()
