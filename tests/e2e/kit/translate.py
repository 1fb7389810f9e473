"""What stands in for kube-proxy: a Service's own address, from which each connection is taken to one of its Pods."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from pyroute2 import AsyncIPRoute

from webhook.node.network import BRIDGE


@asynccontextmanager
async def translated(address: str, port: int, pods: Sequence[str], target: int) -> AsyncIterator[list[int]]:
    """Give a Service an address while the block lasts; yields a list that has one number in it for each connection."""
    turns = itertools.cycle(pods)
    seen: list[int] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(len(seen))
        # Whoever hangs up, or a Pod that is gone: the other side hears the same.
        with suppress(OSError):
            inner_reader, inner = await asyncio.open_connection(next(turns), target)
            await asyncio.gather(_copy(reader, inner), _copy(inner_reader, writer))
        writer.close()

    async with AsyncExitStack() as stack:
        link = await stack.enter_async_context(AsyncIPRoute())
        bridge = (await link.link_lookup(ifname=BRIDGE))[0]
        await link.addr("add", index=bridge, address=address, prefixlen=32)
        stack.push_async_callback(link.addr, "del", index=bridge, address=address, prefixlen=32)
        server = await asyncio.start_server(connected, address, port)
        stack.callback(server.close)
        yield seen


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
