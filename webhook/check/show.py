"""What a check-up prints: lines for people, one JSON document for machines. Pure."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from webhook.check.model import Line, Result

_MOST_SHOWN: Final = 20
"""Lines under one cross; JSON has them all."""


class Marks(NamedTuple):
    """How results are drawn."""

    ok: str
    warning: str
    failed: str
    skipped: str


SIGNS: Final = Marks("√", "‼", "×", "-")  # noqa: RUF001 signs, no letters
PLAIN: Final = Marks("+", "!", "x", "-")
_COLOURS: Final = {Result.OK: "32", Result.WARNING: "33", Result.FAILED: "31", Result.SKIPPED: "2"}


class Printer:
    """Writes lines as they come, with a heading before each category."""

    def __init__(self, *, encoding: str, coloured: bool) -> None:
        """Take what the output can show."""
        # All else is written as ASCII, which every other encoding contains.
        self._encoding = "utf-8" if _is_utf8(encoding) else "ascii"
        self._coloured = coloured
        self._marks = SIGNS if self._encoding == "utf-8" else PLAIN
        self._category = ""

    def line(self, line: Line) -> str:
        """Give the text of one line of the report, ending in a newline."""
        return self._printable([*self._heading(line.category), *self._body(line)])

    def summary(self, lines: Sequence[Line]) -> str:
        """Give the last words."""
        count = {result: sum(1 for line in lines if line.finding.result is result) for result in Result}
        told = [f"{count[result]} {_word(result, count[result])}" for result in Result if count[result]]
        return self._printable(["", f"{len(lines)} checks: {', '.join(told)}"])

    def _heading(self, category: str) -> Iterator[str]:
        if category != self._category:
            if self._category:
                yield ""
            yield category
            yield "-" * len(category)
            self._category = category

    def _body(self, line: Line) -> Iterator[str]:
        finding = line.finding
        mark = self._coloured_mark(finding.result)
        if finding.result is Result.OK:
            yield f"{mark} {': '.join((line.title, *finding.found))}"
            return
        yield f"{mark} {line.title}"
        yield from _cut(f"    {_one_line(text)}" for text in finding.found)
        yield from _cut(f"    remedy: {_one_line(text)}" for text in finding.remedy)

    def _coloured_mark(self, result: Result) -> str:
        mark: str = getattr(self._marks, result)
        return f"\x1b[{_COLOURS[result]}m{mark}\x1b[0m" if self._coloured else mark

    def _printable(self, texts: Iterable[str]) -> str:
        text = "".join(f"{each}\n" for each in texts)
        return text.encode(self._encoding, "backslashreplace").decode(self._encoding)


def _word(result: Result, count: int) -> str:
    return "warnings" if result is Result.WARNING and count > 1 else result


def _is_utf8(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        return False


def _cut(texts: Iterable[str]) -> Iterator[str]:
    everything = list(texts)
    yield from everything[:_MOST_SHOWN]
    if len(everything) > _MOST_SHOWN:
        yield f"    and {len(everything) - _MOST_SHOWN} more (--output json shows all)"


def _one_line(text: str) -> str:
    """Keep a stranger's text from steering the terminal, and on one line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def as_json(lines: Iterable[Line]) -> str:
    """Give the report as one JSON document; its keys, names and results are stable."""
    told = [_as_object(line) for line in lines]
    failed = any(one["result"] == Result.FAILED for one in told)
    return json.dumps({"result": Result.FAILED if failed else Result.OK, "checks": told}, indent=2) + "\n"


def _as_object(line: Line) -> dict[str, Any]:
    return {
        "category": line.category,
        "name": line.name,
        "title": line.title,
        "result": line.finding.result,
        "found": list(line.finding.found),
        "remedy": list(line.finding.remedy),
    }
