"""One file's text cut into documents, so that the pieces joined give the file back.

YAML forbids `---` and `...` at the start of a line inside every scalar, so lines alone decide: no document needs
to be well formed for its neighbours to be found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

BOM: Final = "\ufeff"
_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|$)")
_MARKER: Final = re.compile(rf"{BOM}?(---|\.\.\.)(?=[ \t\r\n]|$)")
_NO_CONTENT: Final = re.compile(rf"{BOM}?[ \t]*(#.*)?(\r\n|\n|\r)?")
_DIRECTIVE: Final = re.compile(rf"{BOM}?%")


@dataclass(frozen=True, slots=True)
class Piece:
    """One document's text, with the line (from 1) where it begins in its file."""

    line: int
    text: str


def split(text: str) -> list[Piece]:
    """Cut a file's text into documents; comments before a document belong to it, those at the end to the last.

    A text without any content is one empty document.
    """
    cutter = _Cutter()
    for line in lines(text):
        cutter.add(line)
    return cutter.finish()


def lines(text: str) -> Iterator[str]:
    """Give a text's lines, each with its line break."""
    return (match.group() for match in _LINE.finditer(text) if match.group())


def opens_document(text: str) -> bool:
    """Say whether a text begins with `---`, comments aside, and so may follow another document."""
    marker = next((line for line in lines(text) if not _NO_CONTENT.fullmatch(line)), "")
    found = _MARKER.match(marker)
    return found is not None and found.group(1) == "---"


def starts_with_directive(text: str) -> bool:
    """Say whether a text begins with `%YAML` or `%TAG`, comments aside."""
    first = next((line for line in lines(text) if not _NO_CONTENT.fullmatch(line)), "")
    return _DIRECTIVE.match(first) is not None


def body_start(text: str) -> int:
    """Give where a document's own content may begin: after its comments, directives and `---`."""
    position = 0
    for line in lines(text):
        found = _MARKER.match(line)
        if found is not None and found.group(1) == "---":
            return position + found.end()
        if not (_NO_CONTENT.fullmatch(line) or _DIRECTIVE.match(line)):
            break
        position += len(line)
    return min(position, len(text))


class _Cutter:
    """Collects lines into documents."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._lines: list[str] = []
        self._number = 1
        self._started = False

    def add(self, line: str) -> None:
        found = _MARKER.match(line)
        marker = found.group(1) if found else ""
        if marker == "---" and self._started:
            self._cut()
        self._lines.append(line)
        if marker == "...":
            self._cut()
        elif not (_NO_CONTENT.fullmatch(line) or (_DIRECTIVE.match(line) and not self._started)):
            self._started = True

    def _cut(self) -> None:
        text = "".join(self._lines)
        self._pieces.append(Piece(self._number, text))
        self._number += len(self._lines)
        self._lines, self._started = [], False

    def finish(self) -> list[Piece]:
        if self._started or not self._pieces:
            self._cut()
        elif self._lines:
            last = self._pieces.pop()
            self._pieces.append(Piece(last.line, last.text + "".join(self._lines)))
        return self._pieces
