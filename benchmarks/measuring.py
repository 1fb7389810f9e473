"""A benchmark on a real API server: a folder of its own, and what is said without Go."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from report import Report

from tests.controlplane.build import GoAbsent

ABSENT: Final = 3
"""Exit code of a benchmark that lacks what it needs."""


def measured(json: Path | None, run: Callable[[Path, Report], Coroutine[Any, Any, int]]) -> int:
    """Measure and give the exit code; `run` gives how many answers were wrong or missing."""
    report = Report()
    with tempfile.TemporaryDirectory(prefix="evenkeel-bench-") as folder:
        try:
            wrong = asyncio.run(run(Path(folder), report))
        except GoAbsent as error:
            report.say(str(error))
            return ABSENT
    report.write(json)
    return 1 if wrong else 0
