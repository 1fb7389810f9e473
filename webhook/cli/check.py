"""`evenkeel check`: looks at a cluster and tells, line by line, what is right, what is wrong and what mends it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from pathlib import Path

from webhook.check.facts import Cluster, Facts
from webhook.check.installed import Installed, read_given
from webhook.check.model import Line, Result
from webhook.check.place import Place
from webhook.check.registry import AFTER, BEFORE
from webhook.check.run import Check, Context, run
from webhook.check.shipped import load_shipped
from webhook.check.show import Printer, as_json
from webhook.cli.report import write_result
from webhook.tls.bundle import utc_now

Connect = Callable[[], AbstractAsyncContextManager[Cluster]]


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line."""

    before: bool = False
    as_json: bool = False
    namespace: str = Place().namespace
    settings: Path | None = None
    templates: Path | None = None
    limit: float = 30.0
    """Seconds that one check may take."""


def run_check(connect: Connect, wish: Wish, *, now: Callable[[], datetime] = utc_now) -> int:
    """Check a cluster; gives 0, or 1 where something failed. Raises SettingsError where it cannot be called at all."""
    screen = _Screen(as_json=wish.as_json)
    lines = asyncio.run(_check(connect, wish, screen, now))
    screen.end(lines)
    return 1 if any(line.finding.result is Result.FAILED for line in lines) else 0


async def _check(connect: Connect, wish: Wish, screen: _Screen, now: Callable[[], datetime]) -> list[Line]:
    place = Place(wish.namespace)
    given = read_given(wish.settings, wish.templates)
    async with connect() as api:
        facts = Facts(api, place)
        context = Context(
            facts=facts,
            place=place,
            shipped=cache(partial(load_shipped, place)),
            installed=Installed(facts, given),
            now=now,
        )
        checks = BEFORE if wish.before else AFTER
        return await run(checks, context, limit=wish.limit, begins=screen.begins, ends=screen.ends)


class _Screen:
    """Standard output, and on a terminal a line that says what is being looked at."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        terminal = sys.stdout.isatty()
        self._moving = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        coloured = terminal and not os.environ.get("NO_COLOR")
        self._printer = Printer(encoding=sys.stdout.encoding or "ascii", coloured=coloured)

    def begins(self, check: Check) -> None:
        """Say what is being looked at."""
        if self._moving:
            sys.stderr.write(f"\r\x1b[K... {check.title}")
            sys.stderr.flush()

    def ends(self, line: Line) -> None:
        """Write a line of the report as soon as it is known."""
        self._clear()
        if not self._as_json:
            write_result(self._printer.line(line))

    def end(self, lines: Sequence[Line]) -> None:
        """Write the last words, or the whole document."""
        if self._as_json:
            write_result(as_json(lines))
        else:
            write_result(self._printer.summary(lines))

    def _clear(self) -> None:
        if self._moving:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
