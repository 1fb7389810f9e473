"""How results are shown: a table for people, one JSON document for programs."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from machine import machine
from rich.console import Console
from rich.table import Table

_WIDTH = 120


def quantile(values: Sequence[float], share: float) -> float:
    """Give a quantile by the nearest rank; not a number where there are no values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def median(values: Sequence[float]) -> float:
    """Give the middle value."""
    return quantile(values, 0.5)


def shown(value: Any) -> str:
    """Write a value as a person reads it: three digits, thousands apart, a dash for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def flags(about: str | None) -> argparse.ArgumentParser:
    """Make a parser of what all of them take; the first line of `about` says what is measured."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--smoke", action="store_true", help="a few seconds, to see that it works")
    return parser


class Report:
    """Prints tables and remembers what is in them."""

    def __init__(self) -> None:
        self._console = Console(width=_WIDTH, highlight=False)
        self._machine = machine()
        self.results: list[dict[str, Any]] = []

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False)

    def table(
        self, title: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]], about: str, note: str = ""
    ) -> None:
        """Print rows and keep them; `columns` maps a row's keys to headings, other keys are for the JSON only."""
        self.results += [{"measure": about, **row} for row in rows]
        table = Table(title=title, title_justify="left", title_style="bold", caption=note, caption_justify="left")
        for number, heading in enumerate(columns.values()):
            table.add_column(heading, justify="right" if number else "left")
        for row in rows:
            table.add_row(*(shown(row.get(key)) for key in columns))
        self._console.print()
        self._console.print(table)

    def write(self, file: Path | None) -> None:
        """Write everything as JSON, if a file is wanted."""
        if file is None:
            return
        document = {"machine": self._machine, "results": self.results}
        file.write_text(json.dumps(document, indent=2, default=str) + "\n")
        self.say(f"\nwritten to {file}")
