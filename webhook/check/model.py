"""The values of a check-up: what one line says, and how several judgements become one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """What a line says. The codes are stable: they stand in the JSON output."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


_WORSE = (Result.SKIPPED, Result.OK, Result.WARNING, Result.FAILED)
"""Each result outweighs those before it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what would mend it."""

    result: Result
    found: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()
    """Sentences or commands, in the order in which to try them."""


@dataclass(frozen=True, slots=True)
class Line:
    """A finding with its place in the report."""

    category: str
    name: str
    """Stable, for machines."""
    title: str
    """What holds where the result is ok."""
    finding: Finding


class Unknown(Exception):
    """Something that a check needs is not there to be looked at; the message says what."""


class NotAllowed(Unknown):
    """Whoever runs the check may not look at something."""


def ok(*found: str) -> Finding:
    """Make a tick."""
    return Finding(Result.OK, found)


def warning(*found: str, remedy: str | Iterable[str] = ()) -> Finding:
    """Make a warning: worth a look, nothing is broken."""
    return Finding(Result.WARNING, found, _texts(remedy))


def failed(*found: str, remedy: str | Iterable[str] = ()) -> Finding:
    """Make a cross."""
    return Finding(Result.FAILED, found, _texts(remedy))


def skipped(why: str, remedy: str | Iterable[str] = ()) -> Finding:
    """Make a line that was not looked at, with the reason."""
    return Finding(Result.SKIPPED, (why,), _texts(remedy))


def together(findings: Iterable[Finding], otherwise: Finding) -> Finding:
    """Make one finding of several: the worst result, what led to it and to lesser troubles; ticks are left out."""
    troubles = [each for each in findings if each.result is not Result.OK]
    if not troubles:
        return otherwise
    ordered = sorted(troubles, key=lambda each: _WORSE.index(each.result), reverse=True)
    found = dict.fromkeys(text for each in ordered for text in each.found)
    remedy = dict.fromkeys(text for each in ordered for text in each.remedy)
    return Finding(ordered[0].result, tuple(found), tuple(remedy))


def _texts(given: str | Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,) if given else ()
    return tuple(dict.fromkeys(given))
