"""Servers replaced by others while somebody calls them, in the order in which a cluster does it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.cluster.kit.backends import Backend, Backends
from tests.cluster.kit.slices import Published


@dataclass(slots=True)
class Rolling:
    """The servers of a Service, the oldest first, and how they are replaced."""

    servers: Backends
    published: Published
    stays: float = 0.0
    """Seconds from when it is told that a server is about to end until it is sent SIGTERM: its preStop sleep."""
    current: list[Backend] = field(default_factory=list)
    _ending: set[asyncio.Task[None]] = field(default_factory=set)

    async def begin(self, count: int) -> None:
        """Have so many servers."""
        self.current = self.servers.several(count)
        await self.published.put(self.current)

    async def add(self) -> Backend:
        """Have one more."""
        new = self.servers.start()
        await self.published.put([new])
        self.current.append(new)
        return new

    async def end_oldest(self, count: int = 1) -> None:
        """Begin to end servers; `ended` waits until they have."""
        old, self.current = self.current[:count], self.current[count:]
        await self.published.terminate(old)
        self._let_end(old)

    async def roll(self, *, available: float = 0.0) -> None:
        """Replace all, one at a time, each when its successor was ready for so many seconds and has been called."""
        for _ in self.current[:]:
            new = await self.add()
            await asyncio.sleep(available)
            await new.called()
            await self.end_oldest()

    async def replace_all(self) -> Sequence[Backend]:
        """Replace all in one instant, and give the new ones."""
        old, self.current = self.current, self.servers.several(len(self.current))
        await self.published.terminate(old, successors=self.current)
        self._let_end(old)
        return self.current

    async def ended(self) -> None:
        """Wait until every server that was to end has ended."""
        await asyncio.gather(*self._ending)

    def _let_end(self, old: Sequence[Backend]) -> None:
        task = asyncio.create_task(self._end(old), name="end servers")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, old: Sequence[Backend]) -> None:
        await asyncio.sleep(self.stays)
        await asyncio.gather(*(each.stop() for each in old))
        await self.published.remove(old)
