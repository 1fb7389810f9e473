"""What is told to people, on standard error; the result itself, on standard output, as bytes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Final

import typer

from webhook.core.errors import EvenkeelError

_GOOD: Final = "green"
_CAREFUL: Final = "yellow"
_BAD: Final = "red"


class Report:
    """Writes lines for people. Colours only where a terminal shows them and NO_COLOR does not forbid them."""

    def __init__(self) -> None:
        """Look at the terminal and at the environment as they are now."""
        self._coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")

    def good(self, subject: str, text: str) -> None:
        """Tell that something was done."""
        self._line(f"{subject}: ", text, _GOOD)

    def careful(self, subject: str, text: str) -> None:
        """Tell something to look at that stops nothing."""
        self._line(f"{subject}: ", text, _CAREFUL)

    def summary(self, text: str) -> None:
        """Tell the last word."""
        self._line("evenkeel: ", text, None)

    def problems(self, problems: Iterable[str]) -> None:
        """Tell what stopped the command, one sentence a line."""
        for problem in problems:
            self._line("evenkeel: ", problem, _BAD)

    def _line(self, start: str, text: str, colour: str | None) -> None:
        shown = _printable(text)
        coloured = typer.style(shown, fg=colour) if colour and self._coloured else shown
        sys.stderr.write(f"{_printable(start)}{coloured}\n")


def write_result(text: str) -> bool:
    """Write the result to standard output; False if whoever read it has gone, which is no news to anybody.

    Raises EvenkeelError where it cannot be written for another reason, such as a full disk.
    """
    try:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
    except OSError as error:
        # Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return False
        raise EvenkeelError(f"standard output cannot be written ({error.strerror or error})") from error
    return True


def _printable(text: str) -> str:
    """Keep a manifest's texts from steering the terminal, and each message on one line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
