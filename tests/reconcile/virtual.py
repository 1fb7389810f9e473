"""An event loop whose time is a number: whoever sleeps is woken at once, in the order of the clock."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.SelectSelector):
    """Instead of waiting, moves the clock on."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Give what is ready; where nothing is, let the time pass that was to be waited."""
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("nothing will ever happen again: everybody waits for somebody")
        self.now += max(1e-6, timeout)  # nothing takes no time at all
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs hours in milliseconds, each time the same way."""

    def __init__(self) -> None:
        self.selector = _Selector()
        super().__init__(self.selector)

    def time(self) -> float:
        """Give the time that has passed."""
        return self.selector.now


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end in a time of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
