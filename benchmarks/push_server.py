"""The server of the benchmark: Evenkeel's ADS server over TLS, its EndpointSlices told on standard input.

    PYTHONPATH=. python benchmarks/push_server.py SERVICES NAMESPACES CERTIFICATE KEY PORT

Lines of JSON come in, `{"service": 7, "mark": 3}`, and go out: where it listens, and when it heard of each change.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import grpc
import uvloop
from prometheus_client import CollectorRegistry
from push_world import World

from webhook.core.catalog import build_catalog
from webhook.xds.client import Client
from webhook.xds.endpoint_source import EndpointSource
from webhook.xds.identity import Identity
from webhook.xds.metrics import XdsMetrics
from webhook.xds.server import AdsServer
from webhook.xds.source import EDS


async def let_in(metadata: Mapping[str, str], peer: str) -> Client:
    """Believe everybody; who asks the API server does so once for each token."""
    return Client(Identity(metadata["authorization"], peer))


async def main(world: World, credentials: grpc.ServerCredentials, port: int) -> None:
    """Serve until standard input ends."""
    source = EndpointSource()
    source.put_catalog(build_catalog([world.service(number) for number in range(world.services)]))
    for number in range(world.services):
        source.put_slice(number, world.slice(number))
    gc.collect()
    gc.freeze()
    server = AdsServer({EDS: source}, let_in, XdsMetrics(CollectorRegistry()))
    bound = await server.listen(f"127.0.0.1:{port}", credentials)
    say(listening=bound, at=time.monotonic())
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        told, began = json.loads(line), time.monotonic()
        server.changed(EDS, source.put_slice(told["service"], world.slice(told["service"], told["mark"])), since=began)
        say(mark=told["mark"], at=began, seconds=time.monotonic() - began, streams=server.streams)


def say(**fields: float) -> None:
    """Write a line."""
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    services, namespaces, certificate_file, key_file, number = sys.argv[1:]
    pair = (Path(key_file).read_bytes(), Path(certificate_file).read_bytes())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(World(int(services), int(namespaces)), grpc.ssl_server_credentials([pair]), int(number)))
