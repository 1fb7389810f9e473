"""Whether the API server answers, told to those who wait for it: one call that gets through wakes them all."""

from __future__ import annotations

import asyncio


class Presence:
    """What the calls of one process have found last."""

    def __init__(self) -> None:
        self._bell = asyncio.Event()
        self._lost = False

    def lost(self) -> None:
        """Hear that a call was not answered."""
        self._lost = True

    def answered(self) -> None:
        """Hear that a call was answered; after one that was not, whoever waits is woken."""
        if self._lost:
            self._lost = False
            self._bell.set()
            self._bell = asyncio.Event()

    async def back(self) -> None:
        """Wait for the next time that the API server answers again."""
        await self._bell.wait()
