"""Probes as the kubelet runs them: when, how often, and after how many answers in a row the result turns."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

Act = Callable[[Mapping[str, Any]], Awaitable[str | None]]
"""Does what a probe says; None if it went well, else what did not."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe's document with the kubelet's defaults."""

    document: Mapping[str, Any]

    @property
    def period(self) -> float:
        """Seconds between two acts."""
        return float(self.document.get("periodSeconds") or 10)

    @property
    def timeout(self) -> float:
        """Seconds after which an act has failed."""
        return float(self.document.get("timeoutSeconds") or 1)

    @property
    def initial_delay(self) -> float:
        """Seconds from the container's start to the first act."""
        return float(self.document.get("initialDelaySeconds") or 0)

    def needed(self, *, good: bool) -> int:
        """How many equal answers in a row turn the result."""
        if good:
            return int(self.document.get("successThreshold") or 1)
        return int(self.document.get("failureThreshold") or 3)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A probe's result has turned, or was confirmed."""

    good: bool
    problem: str = ""


Heed = Callable[[Verdict], Awaitable[bool]]
"""Takes a verdict; says whether to go on."""


async def follow(probe: Probe, act: Act, heed: Heed, *, age: float) -> None:
    """Tell a verdict each time as many equal answers as needed came in a row, until `heed` has enough.

    `age` is how long the container runs already; an initial delay counts from its start.
    """
    row, last = 0, None
    await asyncio.sleep(max(0.0, probe.initial_delay - age))
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + probe.period
        problem = await _limited(probe, act)
        good = problem is None
        row = row + 1 if good == last else 1
        last = good
        if row >= probe.needed(good=good) and not await heed(Verdict(good, problem or "")):
            return
        await asyncio.sleep(max(0.0, due - loop.time()))


async def _limited(probe: Probe, act: Act) -> str | None:
    try:
        async with asyncio.timeout(probe.timeout):
            return await act(probe.document)
    except TimeoutError:
        return f"no answer within {probe.timeout:g} s"
