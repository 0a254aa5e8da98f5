"""What the person sees. Owns the difference between a terminal, a pipe and --json; knows nothing of packages or HTTP.

On a terminal: colours, tables, spinners. In a pipe: plain lines, lists as tab-separated values without a heading, ready for
`cut` and `awk`. With --json: the server's document on standard output and nothing else there.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import plain
from .errors import Refused

Rows = Iterable[Sequence[object]]


class Screen:
    """Standard output for results, standard error for everything else."""

    def __init__(self, *, json: bool) -> None:
        self.json = json
        self.out = _console(sys.stdout)
        self.err = _console(sys.stderr)

    @property
    def interactive(self) -> bool:
        """Whether results are read by a person as they appear."""
        return self.out.is_terminal and not self.json

    @property
    def running(self) -> Console:
        """Where a log that goes on belongs: the results, unless these are one JSON document."""
        return self.err if self.json else self.out

    def document(self, text: str) -> None:
        """The server's JSON, byte for byte (a terminal gets the same document with what it would obey escaped)."""
        shown = plain.json_text(text) if self.out.is_terminal else text
        sys.stdout.buffer.write(shown.encode("utf-8", "surrogatepass"))
        if not shown.endswith("\n"):
            sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()

    def say(self, text: str) -> None:
        """One line of result."""
        _write(self.out, Text(plain.line(text)))

    def log(self, text: str) -> None:
        """Lines of a build log."""
        _write(self.running, Text(plain.block(text)))

    def success(self, text: str) -> None:
        """What was done."""
        _write(self.out, _marked("Success:", "bold green", plain.line(text)))

    def note(self, text: str) -> None:
        """Something beside the result."""
        _write(self.err, Text(plain.line(text), style="dim"))

    def refusal(self, refused: Refused) -> None:
        """Why it was not done, and what to do."""
        _write(self.err, _marked("Error:", "bold red", plain.block(refused.message)))
        if refused.hint:
            _write(self.err, _marked("Hint:", "yellow", plain.line(refused.hint)))

    def fields(self, values: Mapping[str, object]) -> None:
        """One thing, a field a line; what is empty is left out."""
        shown = {name: plain.line(value) for name, value in values.items() if value not in (None, "", [])}
        width = max(map(len, shown), default=0)
        for name, value in shown.items():
            _write(self.out, Text.assemble((f"{name + ':':<{width + 1}} ", "cyan"), _coloured(value)))

    def table(self, headings: Sequence[str], rows: Rows) -> None:
        """Many things, one a line."""
        cells = [[plain.line(value) for value in row] for row in rows]
        if not self.out.is_terminal:
            if cells:
                _write(self.out, Text("\n".join("\t".join(row) for row in cells)))
            return
        table = Table(*headings, box=None, header_style="bold", pad_edge=False)
        for column in table.columns:
            column.overflow = "fold"  # an id that is cut off is of no use
        for row in cells:
            table.add_row(*map(_coloured, row))
        self.out.print(table)

    def waiting(self, doing: str) -> AbstractContextManager[object]:
        """Shows that something is going on, to a person; nothing in a pipe."""
        return self.err.status(f"{doing}…") if self.err.is_terminal else nullcontext()


_COLOURS = {
    "activated": "green",
    "succeeded": "green",
    "downloaded": "blue",
    "downloading": "yellow",
    "running": "yellow",
    "failed": "red",
    "cancelled": "red",
    "revoked": "red",
}


def _coloured(value: str) -> Text:
    return Text(value, style=_COLOURS.get(value, ""))


def _console(stream: TextIO) -> Console:
    # is_terminal is decided here: rich would also listen to FORCE_COLOR and colour a pipe.
    return Console(file=stream, force_terminal=stream.isatty(), markup=False, emoji=False, highlight=False)


def _marked(mark: str, style: str, text: str) -> Text:
    return Text.assemble((mark, style), " ", text)


def _write(console: Console, text: Text) -> None:
    if console.is_terminal:
        console.print(text, soft_wrap=True)
    else:  # rich would turn tabs into spaces
        print(text.plain, file=console.file, flush=True)
