"""What others write may not control the terminal."""

import json

import pytest

from example.cli.pkgctl import plain


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP+q544e\x1b\\text", "text"),
        ("\x9b31mred", "red"),
        ("\x9d0;title\x9ctext", "text"),
        ("\x1bcreset", "reset"),
        ("\x1b]0;cut off", "0;cut off"),
        ("\x1b", ""),
        ("bell\x07 back\x08 null\x00 del\x7f", "bell back null del"),
        ("10%\r20%\r\n30%\r\r\n", "20%\n30%\n"),
        ("a\u202eb\u2066c", "abc"),
        ("lone \ud800 surrogate", "lone  surrogate"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("żółć 漢字 🎉 [bold]", "żółć 漢字 🎉 [bold]"),
    ],
)
def test_only_text_is_left_of_a_log(written: str, shown: str) -> None:
    assert plain.block(written) == shown


def test_a_value_stays_on_one_line() -> None:
    assert plain.line("a\tb\n  c") == "a b c"


def test_nothing_is_an_empty_value() -> None:
    assert plain.line(None) == ""


def test_json_for_a_terminal_means_the_same() -> None:
    sent = json.dumps({"a": "\x9b31m\u202e é"}, ensure_ascii=False)
    assert plain.json_text(sent) == '{"a": "\\u009b31m\\u202e é"}'
    assert json.loads(plain.json_text(sent)) == json.loads(sent)


def test_many_sequences_without_an_end_take_no_time() -> None:
    assert plain.block("\x1b]\x9d" * 200_000) == ""
