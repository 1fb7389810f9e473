"""What is wrong with a text, in words for whoever wrote it: what was found, and what was expected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import yaml


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a document; `line` counts from 0 in the document's text."""

    line: int
    found: str
    expected: str

    def __str__(self) -> str:
        """Give one clause for people."""
        return f"found {self.found}; expected {self.expected}"


_INDENTED: Final = "every key of one mapping to start in the same column"
_SENTENCES: Final[dict[str, tuple[str, str]]] = {
    "mapping values are not allowed in this context": (
        "a ':' where no key can stand",
        "one `key: value` a line at the mapping's indentation, or quotes around a text that contains ': '",
    ),
    "did not find expected key": ("something that is no key", _INDENTED),
    "could not find expected ':'": (
        "a line without ':'",
        "`key: value`, or a deeper indentation if it continues a text",
    ),
    "did not find expected '-' indicator": (
        "a line that is no item of the list above",
        "`- ` at the list's indentation",
    ),
    "did not find expected ',' or '}'": ("no end of the `{`", "`,` between entries and `}` at the end"),
    "did not find expected ',' or ']'": ("no end of the `[`", "`,` between items and `]` at the end"),
    "found unexpected end of stream": ("the end of the document inside a quoted text", "its closing quote"),
    "found undefined alias": (
        "an alias `*name` that no anchor defines",
        "an anchor `&name` before it, in the same document",
    ),
    "second occurrence": ("an anchor that is defined twice", "every `&name` once in a document"),
    "found unknown escape character": ("an unknown escape after `\\` in double quotes", "single quotes, or `\\\\`"),
    "found a tab character where an indentation space is expected": ("a tab", "spaces for indentation"),
    "but found another document": ("a second document", "`---` on a line of its own between documents"),
    "did not find expected <document start>": ("more text after the end of the document", "`---` before another one"),
    "did not find expected node content": ("no value where one must stand", "a value, `]` or `}`"),
    "did not find expected alphabetic or numeric character": ("`*` or `&` without a name", "quotes around the text"),
    "found unknown directive name": ("an unknown directive after `%`", "`%YAML` or `%TAG`, or quotes around the text"),
}


def from_yaml(error: yaml.YAMLError, text: str) -> Fault:
    """Put what the YAML parser says about a document's text into words."""
    if isinstance(error, yaml.reader.ReaderError):
        return Fault(_line_at(text, error.position), f"the control character {error.character!r}", "printable text")
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Fault(0, f"no YAML ({error})", "YAML or JSON")
    problem, mark = error.problem or "", error.problem_mark
    if problem.startswith("found character that cannot start any token"):
        return _bad_start(text, mark.line, mark.column)
    found, expected = _SENTENCES.get(problem, (f"no YAML ({problem})", "YAML or JSON"))
    return Fault(_line_of(text, mark.line), found, expected + template_hint(text))


def template_hint(text: str) -> str:
    """Give a guess at the usual reason why a text with `{{` is no manifest."""
    return " (a template that was not rendered?)" if "{{" in text else ""


def _bad_start(text: str, line: int, column: int) -> Fault:
    lines = text.splitlines() or [""]
    character = lines[line][column : column + 1] if line < len(lines) else ""
    if character == "\t":
        return Fault(line, "a tab", "spaces for indentation")
    return Fault(line, f"a value that starts with {character!r}", "quotes around it")


def _line_of(text: str, line: int) -> int:
    """Give the last line that has text where the parser points past the end."""
    return min(line, max(len(text.rstrip().splitlines()) - 1, 0))


def _line_at(text: str, position: int) -> int:
    return len(text[: position + 1].splitlines()) - 1
