"""Names and versions of Nix packages: what may be one, and which version is newer.

Pure. A name is an attribute path (``hello``, ``python3Packages.requests``); a version is PEP 440, semantic, or anything else that starts
with a digit and stays plain (``5.2p26``). Neither can start with a dash or hold anything that a shell, a path or Nix would read.
"""

from __future__ import annotations

import re

# The lengths stand beside the patterns, as in JSON Schema: Rust's and ECMAScript's regular expressions share no look-ahead.
NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_+-]*(\.[A-Za-z_][A-Za-z0-9_+-]*)*$"
NAME_LENGTHS = (2, 50)
VERSION_PATTERN = r"^([0-9]+!)?[0-9][A-Za-z0-9.+_~-]*$"
VERSION_LENGTHS = (1, 64)

NAME_RULE = "2-50 characters: letters, digits, _ + -, in dot-separated parts that each start with a letter or _ (python3Packages.requests)"
VERSION_RULE = "1-64 characters that start with a digit: letters, digits, . + _ ~ - (2.1.0, 1.0.0-rc.1, 5.2p26), PEP 440 epochs too"

_NAME = re.compile(NAME_PATTERN)
_VERSION = re.compile(VERSION_PATTERN)
_PIECES = re.compile(r"[0-9]+|[A-Za-z]+")
_BEFORE_RELEASE = {"dev": -5, "pre": -4, "alpha": -3, "beta": -2, "rc": -1}


def is_name(text: str) -> bool:
    """Whether ``text`` can be a package's name."""
    return NAME_LENGTHS[0] <= len(text) <= NAME_LENGTHS[1] and _NAME.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Whether ``text`` can be a version."""
    return VERSION_LENGTHS[0] <= len(text) <= VERSION_LENGTHS[1] and _VERSION.fullmatch(text) is not None


def version_key(version: str) -> tuple[int, tuple[tuple[int, int, str], ...]]:
    """Sorts versions, oldest first: takes any text.

    Like Nix's ``compareVersions``: pieces of digits compare as numbers and stand above words (``1.1.1a`` is after ``1.1.1``), and the
    words of pre-releases stand below the end (``2.0rc1`` is before ``2.0``). A PEP 440 epoch comes first.
    """
    epoch, mark, release = version.partition("!")
    if not (mark and re.fullmatch("[0-9]+", epoch)):
        epoch, release = "0", version
    pieces = [_piece_key(piece) for piece in _PIECES.findall(release)]
    return _integer(epoch), (*pieces, (0, 0, ""))


def _piece_key(piece: str) -> tuple[int, int, str]:
    if piece.isdecimal():
        return 2, _integer(piece), ""
    return _BEFORE_RELEASE.get(piece.lower(), 1), 0, piece


def _integer(digits: str) -> int:
    """Python refuses to read more than 4,300 digits (CVE-2020-10735); no version has them, and no order is lost that matters."""
    return int(digits[:4000])
