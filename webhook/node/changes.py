"""Waiting until something about a Pod has come true."""

import asyncio
from collections.abc import Callable


class Changes:
    """Whoever changes something tells; whoever waits for something looks again."""

    def __init__(self, listener: Callable[[], None] | None = None) -> None:
        self._next = asyncio.Event()
        self._listener = listener

    def tell(self) -> None:
        """Say that something has changed."""
        self._next.set()
        self._next = asyncio.Event()
        if self._listener is not None:
            self._listener()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition holds; it is looked at after each change."""
        while not holds():
            await self._next.wait()
