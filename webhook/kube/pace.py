"""How long to wait, and by which clock: given from outside, so that tests wait for nothing."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from webhook.kube.api import SILENT_SECONDS

_SHORTEST: Final = 0.2
_LONGEST: Final = 30.0
_SPREAD: Final = 1.0
"""Over so many seconds those come who hear that the API server is back."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The clock, the dice and the spans of everything that watches."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    dice: Callable[[], float] = random.random
    watch_seconds: tuple[int, int] = (300, 600)
    """A watch is ended by the API server within this span: replicas and their watches spread over its instances."""
    silent_seconds: float = SILENT_SECONDS
    publish_seconds: float = 0.1
    """The shortest span between two catalogs. One change is published at once; a hundred a second cost ten
    publications, and every Pod that is admitted after one looks at its namespace anew."""

    trust_seconds: float = 3.0
    """So long the first catalog waits for the CAs: without the right to read them, it comes without."""

    def watch_timeout(self) -> int:
        """Choose how long the next watch shall live."""
        low, high = self.watch_seconds
        return low + int(self.dice() * (high - low))


@dataclass(slots=True)
class Backoff:
    """Exponential, with jitter: many replicas that lost one API server do not come back at one moment."""

    pace: Pace
    _failures: int = field(default=0, init=False)

    def reset(self) -> None:
        """Begin with a short wait again, since things went well for a while."""
        self._failures = 0

    async def wait(self, at_least: float | None = None, *, sooner: Callable[[], Awaitable[None]] | None = None) -> None:
        """Wait after a failure, longer each time, and at least as long as the API server asks for.

        When `sooner` returns the wait is nearly over: not all who hear of it come at one moment.
        """
        span = min(_LONGEST, _SHORTEST * 2.0 ** min(self._failures, 20) * (1 + self.pace.dice()))
        self._failures += 1
        span = max(span, at_least or 0.0)
        if sooner is None:
            await self.pace.sleep(span)
        elif await _ends_first(sooner(), self.pace.sleep(span)):
            await self.pace.sleep(self.pace.dice() * _SPREAD)


async def _ends_first(one: Awaitable[None], other: Awaitable[None]) -> bool:
    """Wait for one of two, and say whether it was the first; the rest is cancelled."""
    tasks = [asyncio.ensure_future(each) for each in (one, other)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0].done() and not tasks[1].done()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
