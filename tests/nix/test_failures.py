"""What went wrong, in words: the judgement of exit codes and messages, of this Nix and of others."""

from __future__ import annotations

import errno
import json

import pytest

from example.nix.failures import Kind, explain_build, explain_call, explain_os_error, list_versions, shorten
from example.nix.resolution import Available
from example.nix.running import Ended
from example.nix.watch import BuildWatch
from tests.nixstore import Remembering

DRV = "/nix/store/2vy5wp2z2agl6ra1zy11k9914aajpnbr-hello-2.1.0.drv"
OTHER = "/nix/store/3vy5wp2z2agl6ra1zy11k9914aajpnbr-zlib-1.3.drv"
CHOSEN = {"chosen": "demo", "attribute": "hello", "derivation": DRV, "outputs": [{"path": "/p"}]}


def judge(code: int, *said: str, reports: tuple[object, ...] = (CHOSEN,), output: str = "", log: tuple[str, ...] = ()) -> tuple[Kind, str]:
    watch = BuildWatch("M", Remembering())
    messages = [f"trace: M {json.dumps(report)}" for report in reports] + [
        f"error: {text}" for text in said if not text.startswith("plain:")
    ]
    lines = [{"action": "start", "id": 1, "type": 105, "fields": [DRV]}]
    lines += [{"action": "result", "id": 1, "type": 101, "fields": [text]} for text in log]
    lines += [{"action": "msg", "level": 0, "msg": text} for text in messages]
    watch.feed(b"".join(b"@nix " + json.dumps(line).encode() + b"\n" for line in lines))
    watch.feed("".join(f"{text.removeprefix('plain:')}\n" for text in said if text.startswith("plain:")).encode())
    failure = explain_build("hello 2.1.0", ["demo"], Ended(code, output), watch)
    assert failure is not None
    return failure.kind, failure.text


FAILED = f"builder for '{DRV}' failed with exit code 1"


@pytest.mark.parametrize(
    ("code", "said", "kind", "words"),
    [
        (0, [], Kind.BUILD_FAILED, "gave no output"),
        (-9, [], Kind.KILLED, "SIGKILL"),
        (137, [], Kind.KILLED, "SIGKILL"),
        (143, [], Kind.KILLED, "SIGTERM"),
        (1, ["interrupted by the user"], Kind.KILLED, "from outside"),
        (1, ["getting sandbox mount namespace: No such file or directory"], Kind.KILLED, "from outside"),
        (100, ["killing process 3: No such process", "unexpected EOF reading a line"], Kind.KILLED, "from outside"),
        (1, ["writing to file: No space left on device"], Kind.NO_SPACE, "free some space"),
        (1, ["executing SQLite statement '…': database or disk is full"], Kind.NO_SPACE, "full"),
        (100, ["this system does not support the kernel namespaces that are required for sandboxing"], Kind.UNAVAILABLE, "sandbox"),
        (1, ["plain:unshare: unshare failed: Operation not permitted"], Kind.UNAVAILABLE, "SYS_ADMIN"),
        (101, [f"building of '{DRV}' timed out after 5 seconds"], Kind.TIMEOUT, "NIX_BUILD_TIMEOUT"),
        (101, [f"building of '{DRV}!out' from .drv file timed out after 5 seconds of silence"], Kind.TIMEOUT, "NIX_SILENT_TIMEOUT"),
        (101, [f"Cannot build '{DRV}'. Reason: timed out after no output for 5 seconds"], Kind.TIMEOUT, "NIX_SILENT_TIMEOUT"),
        (1, [f"building of '{DRV}' killed after writing more than 100 bytes of log output"], Kind.BUILD_FAILED, "NIX_LOG_LIMIT"),
        (100, [FAILED], Kind.BUILD_FAILED, "failed to build"),
        (
            100,
            [f"Cannot build '{DRV}'.\n Reason: builder failed with exit code 1. Permission denied"],
            Kind.BUILD_FAILED,
            "failed to build",
        ),
        (
            100,
            [f"builder for '{OTHER}' failed", f"1 dependencies of derivation '{DRV}' failed"],
            Kind.BUILD_FAILED,
            "its dependency zlib-1.3",
        ),
        (1, ["creating directory '/nix/store/.links': Permission denied"], Kind.UNAVAILABLE, "can't be written"),
        (1, ["unable to download 'https://cache/x.nar': Couldn't resolve host"], Kind.UNAVAILABLE, "check the network"),
        (1, ["something new"], Kind.BUILD_FAILED, "something new"),
    ],
)
def test_after_resolving(code: int, said: list[str], kind: Kind, words: str) -> None:
    judged, text = judge(code, *said)
    assert judged is kind and words in text and text.startswith("hello 2.1.0")


@pytest.mark.parametrize(
    ("reports", "said", "kind", "words"),
    [
        ([{"available": []}], "not available", Kind.NOT_AVAILABLE, "no package of that name in demo"),
        (
            [{"available": [{"version": "2.0", "pin": "demo", "attribute": "x"}]}],
            "not available",
            Kind.NOT_AVAILABLE,
            "versions: 2.0 (demo)",
        ),
        (
            [{"opening": "demo"}, {"matched": "demo", "attribute": "hello_2"}],
            "unfree",
            Kind.BUILD_FAILED,
            "(hello_2) can't be evaluated: unfree",
        ),
        ([{"opening": "demo"}], "syntax error", Kind.UNAVAILABLE, "package set 'demo' (NIX_PINS) can't be evaluated: syntax error"),
        ([], "creating directory '/nix': Read-only file system", Kind.UNAVAILABLE, "NIX_ROOT"),
        ([], "who knows", Kind.UNAVAILABLE, "who knows"),
    ],
)
def test_before_anything_is_built(reports: list[object], said: str, kind: Kind, words: str) -> None:
    judged, text = judge(1, said, reports=tuple(reports))
    assert judged is kind and words in text


def test_a_nix_that_says_nothing_is_not_understood_either() -> None:
    assert judge(1, reports=())[1] == "hello 2.1.0: nix-build failed: it said nothing"


def test_the_builders_last_lines_end_the_text() -> None:
    assert judge(100, FAILED, log=("checking", "no compiler"))[1].endswith("The last lines of its log:\nchecking\nno compiler")


def test_a_builder_that_ran_out_of_space_is_a_full_disk() -> None:
    assert judge(100, FAILED, log=("head: write error: No space left on device",))[0] is Kind.NO_SPACE


def test_a_build_that_worked_is_no_failure() -> None:
    watch = BuildWatch("M", Remembering())
    watch.feed(b"@nix " + json.dumps({"action": "msg", "level": 0, "msg": f"trace: M {json.dumps(CHOSEN)}"}).encode() + b"\n")
    assert explain_build("hello", ["demo"], Ended(0, "/p\n"), watch) is None


@pytest.mark.parametrize(
    ("code", "said", "kind"),
    [
        (-15, "", Kind.KILLED),
        (1, "error: No space left on device", Kind.NO_SPACE),
        (1, "error: opening lock file: Permission denied", Kind.UNAVAILABLE),
        (7, "", Kind.UNAVAILABLE),
    ],
)
def test_a_short_call_is_judged_too(code: int, said: str, kind: Kind) -> None:
    failure = explain_call("switching", Ended(code, "", said))
    assert failure and failure.kind is kind and failure.text.startswith("switching: ")


def test_a_short_call_that_worked_is_no_failure() -> None:
    assert explain_call("switching", Ended(0, "")) is None


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, Kind.NO_SPACE), (errno.EROFS, Kind.UNAVAILABLE), (errno.EACCES, Kind.UNAVAILABLE), (errno.EMFILE, Kind.UNAVAILABLE)],
)
def test_errors_of_the_system_are_judged_by_their_number(number: int, kind: Kind) -> None:
    assert explain_os_error("hello", OSError(number, "words")).kind is kind


def test_versions_are_listed_newest_first_once_and_capped() -> None:
    many = [Available(f"1.{minor}", "demo", "x") for minor in range(30)] * 2
    listed = list_versions(many)
    assert listed.startswith("1.29 (demo), 1.28 (demo)") and listed.endswith("1.10 (demo) and 10 more")


def test_long_words_are_cut_and_hints_to_the_command_line_left_out() -> None:
    assert shorten("error: a\n\n(use '--show-trace' to see)\n  b ") == "a; b"
    assert len(shorten("x" * 10_000)) < 2_100
