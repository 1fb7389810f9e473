"""How a process is asked to end, and how its server goes: drained first, hastened by a second signal."""

from __future__ import annotations

import asyncio
import contextlib
import signal

import structlog

from webhook.server.health import Readiness
from webhook.server.listen import Server


class Signals:
    """The signals that ask the process to end, one after the other."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._queue.put_nowait, number.name)

    async def next(self) -> str:
        """Wait for a signal and give its name."""
        return await self._queue.get()


async def drain(readiness: Readiness, signals: Signals, delay: float) -> None:
    """Wait for a signal, then let callers go elsewhere for a while; a second signal cuts that short."""
    log = structlog.get_logger()
    name = await signals.next()
    log.info("draining", signal=name, seconds=delay)
    readiness.drain()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(delay):
            log.info("hastened", signal=await signals.next())


async def hasten(server: Server, signals: Signals) -> None:
    """End a server at once, whatever is in flight, when somebody insists."""
    await signals.next()
    server.force_exit = True
