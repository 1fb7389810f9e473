"""Many fake sidecars in one process, each with a connection and a delta stream of its own.

    PYTHONPATH=. python benchmarks/push_clients.py SERVICES NAMESPACES FIRST COUNT CA PORT

They connect when a line comes in and, as sidecars do, come back when the server is gone. Lines of JSON go out: when all
of them had everything, and when each of them heard of a change.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import grpc
import uvloop
from envoy.service.discovery.v3 import discovery_pb2
from push_world import MARK, World

from webhook.xds.source import EDS

_METHOD: Final = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
_MARK: Final = re.compile(rb"%s\.(\d+)\.(\d+)" % re.escape(MARK).encode())
_BACK_OFF: Final = (0.25, 2.0)
_OPTIONS: Final = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.min_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 2000),
]


class Tally:
    """What the clients of this process have been told."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._complete = 0
        self._marks: defaultdict[int, list[float]] = defaultdict(list)

    def complete(self) -> None:
        """Note that one more client has everything."""
        self._complete += 1
        if self._complete % self._count == 0:
            print(json.dumps({"complete": time.monotonic()}), flush=True)

    def marked(self, marks: Iterable[int]) -> None:
        """Note that one more client has heard of these changes."""
        now = time.monotonic()
        for mark in marks:
            self._marks[mark].append(now)

    def give(self, mark: int) -> None:
        """Write who has heard of a change, and when."""
        print(json.dumps({"mark": mark, "times": self._marks[mark]}), flush=True)


class Sidecar:
    """One client."""

    def __init__(self, namespace: str, names: list[str], tally: Tally) -> None:
        self._namespace = namespace
        self._names = names
        self._tally = tally

    async def run(self, port: int, credentials: grpc.ChannelCredentials) -> None:
        """Stay connected for ever."""
        dice = random.Random(id(self))  # noqa: S311 - spreads, guards nothing
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=_OPTIONS) as channel:
            while True:
                try:
                    await self._stream(channel.stream_stream(_METHOD)(metadata=(("authorization", self._namespace),)))
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(dice.uniform(*_BACK_OFF))

    async def _stream(self, call: grpc.aio.StreamStreamCall[bytes, bytes]) -> None:
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=EDS, resource_names_subscribe=self._names)
        await call.write(request.SerializeToString())
        missing = set(self._names)
        while (data := await call.read()) is not grpc.aio.EOF:
            response = discovery_pb2.DeltaDiscoveryResponse.FromString(data)
            answer = discovery_pb2.DeltaDiscoveryRequest(type_url=EDS, response_nonce=response.nonce)
            if missing:
                missing -= {each.name for each in response.resources}
                if not missing:
                    self._tally.complete()
            else:
                self._tally.marked(int(found[1]) << 8 | int(found[2]) for found in _MARK.finditer(data))
            await call.write(answer.SerializeToString())


async def main(world: World, clients: range, credentials: grpc.ChannelCredentials, port: int) -> None:
    """Connect when told to; give the times of a mark when asked."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.readline()
    tally = Tally(len(clients))
    sidecars = (Sidecar(world.namespace(each), world.seen(each), tally) for each in clients)
    running = [asyncio.create_task(sidecar.run(port, credentials)) for sidecar in sidecars]
    while line := await reader.readline():
        tally.give(json.loads(line)["mark"])
    for each in running:
        each.cancel()


if __name__ == "__main__":
    services, namespaces, first, count, ca_file, number = sys.argv[1:]
    numbers = range(int(first), int(first) + int(count))
    trusted = grpc.ssl_channel_credentials(Path(ca_file).read_bytes())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(World(int(services), int(namespaces)), numbers, trusted, int(number)))
