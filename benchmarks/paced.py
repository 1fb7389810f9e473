"""Calls at a steady pace over a few connections: what an API server does, not what it could do at most."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from caller import Target, call_once, open_connection

_CONNECTIONS: Final = 4


async def call_paced(target: Target, per_second: int, seconds: float) -> tuple[list[float], int]:
    """Send so many requests a second for some seconds; give each one's latency, and how many failed.

    A request is sent when it is due, whether or not the one before it is answered, as long as a connection is free.
    """
    free: asyncio.Queue[object] = asyncio.Queue()
    opened = [await open_connection(target) for _ in range(_CONNECTIONS)]
    for connection in opened:
        free.put_nowait(connection)
    latencies: list[float] = []
    failed = 0

    async def one() -> None:
        nonlocal failed
        began = time.perf_counter()
        connection = await free.get()
        failed += not await connection.ask()  # type: ignore[attr-defined]
        latencies.append(time.perf_counter() - began)
        free.put_nowait(connection)

    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(per_second * seconds)):
            await asyncio.sleep(max(0.0, begun + number / per_second - time.monotonic()))
            group.create_task(one())
    for connection in opened:
        connection.close()
    return latencies, failed


async def answer_length(target: Target) -> int:
    """Give the length of an answer of now."""
    _, body = await call_once(target)
    return len(body)
