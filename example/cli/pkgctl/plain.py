"""Text from elsewhere, made safe to show. Owns what may reach a terminal; knows nothing of how it is laid out.

Build logs and answers are written by others. A terminal obeys escape sequences (ECMA-48), so a log could retitle the window,
overwrite lines or answer for the user. Whole sequences go first, then every control character that is left, so that a
sequence that is cut in half is harmless too.
"""

import re

_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, erase
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC: up to the terminator
    r"|\x1b[ -/]*[0-~]"  # the two-character ones, such as RIS (reset)
)
# C0 without tab and newline, DEL, C1, the bidirectional overrides (they reorder what is read), and lone surrogates (not printable).
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_JSON_CONTROLS = re.compile(r"[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def block(text: str) -> str:
    """Several lines: tabs and newlines stay, everything else that a terminal would obey goes."""
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))  # what a carriage return would have left visible
    return "\n".join(_CONTROLS.sub("", _SEQUENCES.sub("", line)) for line in lines)


def line(text: object) -> str:
    """One value on one line; `None` is empty."""
    return "" if text is None else " ".join(block(str(text)).split())


def json_text(text: str) -> str:
    """The same JSON document with what a terminal would obey written as ``\\u`` escapes (JSON itself already escapes C0)."""
    return _JSON_CONTROLS.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
