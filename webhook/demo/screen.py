"""What a person sees of the demo: a line for each step, bars for each scenario."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

from webhook.demo.scenarios import Scenario

_BAR: Final = 40
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
        self._write(f"{'scenario':<24}{'RPCs':>8}{'failed':>8}   {'servers used':<14}{'max/min':>8}")
        for name, rpcs, failed, servers, even in table:
            self._write(f"{name:<24}{rpcs:>8}{failed:>8}   {servers:<14}{even:>8}")
        self._write(f"\nAll done and cleaned up after {time.monotonic() - self._begun:.0f} s.")

    def _write(self, line: str) -> None:
        print(line, file=self._out, flush=True)


def bar(count: int, longest: int) -> str:
    """Give a bar in proportion to the longest, in eighths of a character."""
    eighths = round(_BAR * 8 * count / longest) if longest else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def used(scenario: Scenario) -> str:
    """Say how many of the servers got any RPC."""
    return f"{sum(1 for count in scenario.backends.values() if count)} of {len(scenario.backends)}"


def evenness(scenario: Scenario) -> str:
    """Give the busiest backend's RPCs over the idlest's, where the set of backends did not change."""
    if not scenario.steady or not scenario.backends:
        return ""
    least = min(scenario.backends.values())
    return f"{max(scenario.backends.values()) / least:.2f}" if least else "∞"


def summary(scenario: Scenario) -> str:
    """Give one line: how many, how even, what failed and why."""
    parts = [f"{scenario.rpcs} RPCs, {scenario.failed} failed", f"{used(scenario)} servers used"]
    if even := evenness(scenario):
        parts.append(f"max/min {even}")
    if scenario.seconds_to_new_backend is not None:
        parts.append(f"a new server's first RPC {scenario.seconds_to_new_backend:.1f} s after it was ready")
    lines = ["; ".join(parts)]
    lines += [f"          {count} x {error[:150]}" for error, count in list(scenario.errors.items())[:3]]
    return "\n".join(lines)
