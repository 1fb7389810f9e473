"""What a node makes of a Service's one address: the part of kube-proxy, which this cluster has not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle

from tests.cluster.kit.backends import PORT, Backend

_PIECE = 65536


@asynccontextmanager
async def cluster_address(address: str, port: int, servers: Sequence[Backend]) -> AsyncIterator[None]:
    """Lead connections to an address and port to these servers, each connection to one of them."""
    turn, open_now = cycle(servers), set[asyncio.Task[None]]()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_now.add(task)
        try:
            with contextlib.suppress(OSError):
                far = await asyncio.open_connection(next(turn).address, PORT)
                await asyncio.gather(_copy(reader, far[1]), _copy(far[0], writer))
        finally:
            open_now.discard(task)

    listening = await asyncio.start_server(lead, address, port)
    try:
        yield
    finally:
        listening.close()
        for task in tuple(open_now):
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()
