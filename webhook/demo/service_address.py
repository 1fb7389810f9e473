"""What stands in for kube-proxy: a Service's own address, from which each connection is taken to one of its Pods."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from pyroute2 import AsyncIPRoute

from webhook.node.network import BRIDGE

_CHUNK: Final = 65536


@asynccontextmanager
async def service_address(
    address: str, port: int, pods: Sequence[str], target: int | None = None
) -> AsyncIterator[list[str]]:
    """Give a Service its address while the block lasts; whoever connects stays with the Pod that it got.

    The Pods listen on `target`, else on the same port. Yields the Pod of each connection so far, a list that grows.
    """
    taken: list[str] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whoever hangs up, or a Pod that is gone: the other side hears the same.
        with suppress(OSError):
            chosen = random.choice(pods)  # noqa: S311 - to spread, not to hide
            taken.append(chosen)
            pod_reader, pod = await asyncio.open_connection(chosen, target or port)
            await asyncio.gather(_copy(reader, pod), _copy(pod_reader, writer))
        writer.close()

    async with AsyncIPRoute() as link:
        bridge = (await link.link_lookup(ifname=BRIDGE))[0]
        await link.addr("add", index=bridge, address=address, prefixlen=32)
        try:
            async with await asyncio.start_server(connected, address, port):
                yield taken
        finally:
            await link.addr("del", index=bridge, address=address, prefixlen=32)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()
