"""What the tests of the API server's door share: a clock that costs no time, and waiting for what must come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from webhook.kube.pace import Pace

Json = dict[str, Any]


@dataclass
class Time:
    """A clock that jumps when somebody sleeps; what was slept is noted."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)
    look: Callable[[], None] = lambda: None
    """Called with each sleep."""

    async def sleep(self, seconds: float) -> None:
        """Let the clock jump, and others run."""
        self.slept.append(seconds)
        self.look()
        self.now += seconds
        await asyncio.sleep(0)

    def pace(self, **spans: Any) -> Pace:
        """Make a pace by this clock; its dice show the middle."""
        return Pace(sleep=self.sleep, clock=lambda: self.now, dice=lambda: 0.5, **spans)


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds; fails after ten seconds."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def running(*coroutines: Any) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Run something beside the test, and end it with the test."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
