"""What a person sees of the demo: a line for each step, bars for each scenario."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, TextIO

from webhook.demo.scenario import Scenario
from webhook.demo.side_by_side import Comparison, Side, compare

_BAR: Final = 40
_COLUMN: Final = 32
_SHORT_BAR: Final = 20
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"


class Screen:
    """Writes to a terminal or a file, as it happens."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._begun = time.monotonic()

    def step(self, text: str) -> None:
        """Say what is about to be done."""
        self._write(f"[{time.monotonic() - self._begun:5.1f} s] {text}")

    def show(self, scenario: Scenario) -> None:
        """Draw the RPCs of each backend as a bar."""
        self._write(f"\n          {scenario.title}")
        longest = max(scenario.backends.values(), default=0)
        for address, count in scenario.backends.items():
            self._write(f"          {address:<14} {bar(count, longest):<{_BAR}} {count:>6}")
        self._write(f"          {summary(scenario)}\n")

    def drew(self, picture: Path) -> None:
        """Say where the picture is."""
        self.step(f"the spread before and after is drawn in {os.path.relpath(picture)}")

    def end(self, scenarios: Sequence[Scenario]) -> None:
        """Sum up."""
        table = [(s.name, f"{s.rpcs}", f"{s.failed}", used(s), evenness(s)) for s in scenarios]
        wide = max((len(scenario.name) for scenario in scenarios), default=0) + 2
        self._write(f"{'scenario':<{wide}}{'RPCs':>6}{'failed':>8}   {'servers used':<14}{'max/min':>8}")
        for name, rpcs, failed, servers, even in table:
            self._write(f"{name:<{wide}}{rpcs:>6}{failed:>8}   {servers:<14}{even:>8}")
        for line in side_by_side(compare(scenarios)):
            self._write(line)
        self._write(f"\nAll done and cleaned up after {time.monotonic() - self._begun:.0f} s.")

    def _write(self, line: str) -> None:
        print(line, file=self._out, flush=True)


def bar(count: float, longest: float, length: int = _BAR) -> str:
    """Give a bar in proportion to the longest, in eighths of a character."""
    eighths = round(length * 8 * count / longest) if longest else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def used(scenario: Scenario) -> str:
    """Say how many of the servers got any RPC."""
    return f"{sum(1 for count in scenario.backends.values() if count)} of {len(scenario.backends)}"


def evenness(scenario: Scenario) -> str:
    """Give the busiest backend's RPCs over the idlest's, where the set of backends did not change."""
    return _spread(scenario.evenness)


def summary(scenario: Scenario) -> str:
    """Give one line: how many, how even, what failed and why."""
    parts = [f"{scenario.rpcs} RPCs, {scenario.failed} failed", f"{used(scenario)} servers used"]
    if even := evenness(scenario):
        parts.append(f"max/min {even}")
    if scenario.seconds_to_new_backend is not None:
        parts.append(f"a new server's first RPC {scenario.seconds_to_new_backend:.2f} s after it was ready")
    lines = ["; ".join(parts)]
    lines += [f"          {count} x {error[:150]}" for error, count in list(scenario.errors.items())[:3]]
    return "\n".join(lines)


def side_by_side(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Give the lines of a table: what DNS and what pushed endpoints made of each change, in two columns."""
    if not comparisons:
        return
    longest = max(_seconds(side) for each in comparisons for side in each.sides.values())
    yield "\ndns and xds side by side: the same Service, the same load, 2 callers each"
    yield f"{'':<34}" + "".join(f"{mode:<{_COLUMN}}" for mode in comparisons[0].sides).rstrip()
    for each in comparisons:
        yield each.change.replace("-", " ")
        sides = each.sides.values()
        if any(side.under_load.seconds_to_new_backend is not None for side in sides):
            yield _row("new server's first RPC after", (_timed(side, longest) for side in sides))
        yield _row("RPCs failed", (f"{side.under_load.failed} of {side.under_load.rpcs}" for side in sides))
        yield _row("max/min afterwards", (_spread(side.after.evenness) for side in sides))


def _row(what: str, cells: Iterable[str]) -> str:
    return f"  {what:<32}" + "".join(f"{cell:<{_COLUMN}}" for cell in cells).rstrip()


def _timed(side: Side, longest: float) -> str:
    return f"{_seconds(side):5.2f} s {bar(_seconds(side), longest, _SHORT_BAR)}"


def _seconds(side: Side) -> float:
    return side.under_load.seconds_to_new_backend or 0.0


def _spread(evenness: float | None) -> str:
    if evenness is None:
        return ""
    return "∞" if evenness == float("inf") else f"{evenness:.2f}"
