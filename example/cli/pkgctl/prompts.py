"""What a person is asked. Secrets are typed unseen on a terminal, or come through standard input: never as an argument, where other
users of the machine and the shell's history would see them.
"""

import getpass
import sys

import typer


def line(question: str, *, option: str) -> str:
    """Ask for something that may be seen; `option` is how to give it without a terminal."""
    _require_terminal(option)
    sys.stderr.write(f"{question}: ")
    sys.stderr.flush()
    return _answered(sys.stdin.readline()).strip()


def secret(question: str, *, option: str, again: bool = False) -> str:
    """Ask for a secret, unseen; with `again` twice, until both are the same."""
    _require_terminal(option)
    while True:
        first = _hidden(f"{question}: ")
        if not again or _hidden(f"{question} again: ") == first:
            return first
        sys.stderr.write("The two are not the same. Once more:\n")


def piped(option: str) -> str:
    """One line of standard input."""
    if sys.stdin.isatty():
        raise typer.BadParameter("reads from a pipe or a file, not from a terminal; leave it out to be asked", param_hint=option)
    text = sys.stdin.readline().rstrip("\r\n")
    if not text:
        raise typer.BadParameter("got nothing from standard input", param_hint=option)
    return text


def secret_or_piped(question: str) -> str:
    """Ask for a secret on a terminal, else read a line of standard input."""
    return secret(question, option="a pipe") if sys.stdin.isatty() else piped("standard input")


def _hidden(question: str) -> str:
    try:
        return _answered(getpass.getpass(question, stream=sys.stderr))
    except EOFError:
        raise typer.Abort from None


def _answered(text: str) -> str:
    if not text.strip():
        raise typer.Abort
    return text


def _require_terminal(option: str) -> None:
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"there is no terminal to ask on; use {option}")
