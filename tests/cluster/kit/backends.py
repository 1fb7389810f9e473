"""gRPC servers of the tests' own: each at an address that every Pod reaches, and no Pod around it.

They come and go in a millisecond, so that what is measured is how fast others learn of it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from typing import Any, Final

import grpc
from pyroute2 import AsyncIPRoute

PORT: Final = 50051
_NETWORK: Final = IPv4Network("10.245.0.0/16")
"""Beside the Pods' network: they reach it by their gateway, which takes all of it for its own."""
_LOOPBACK: Final = "lo"
_LOCAL: Final = {"table": 255, "type": "local", "scope": 254}
_THREADS: Final = 4
_HEALTH: Final = "/grpc.health.v1.Health/"
_SERVING: Final = b"\x08\x01"
_NOT_SERVING: Final = b"\x08\x02"
_OPTIONS: Final = (("grpc.so_reuseport", 0),)
_GRACE: Final = 5.0


class Backend:
    """A server that answers every method with where it is; serves from the start."""

    def __init__(self, address: str, port: int = PORT) -> None:
        self.address = address
        self.healthy = True
        """What it answers to a health check."""
        self.checks = 0
        """How often it has been asked."""
        self.calls = 0
        self.first: float | None = None
        """When its first call came, health checks aside (`time.monotonic()`)."""
        self._server = grpc.server(ThreadPoolExecutor(_THREADS), options=_OPTIONS)
        self._server.add_generic_rpc_handlers((_Handler(self._handler),))
        self._server.add_insecure_port(f"{address}:{port}")
        self._server.start()

    async def called(self, limit: float = 30) -> float:
        """Wait for the first call, and give when it came."""
        async with asyncio.timeout(limit):
            while self.first is None:
                await asyncio.sleep(0.005)
        return self.first

    def kill(self) -> None:
        """End at once, as a process that is killed: what is under way is lost."""
        # Without a grace it would wait here until every client has hung up.
        self._server.stop(0)

    async def stop(self) -> None:
        """End as a server does that is sent SIGTERM: it takes nothing new, and finishes what it has."""
        await asyncio.to_thread(self._server.stop(_GRACE).wait)

    def _handler(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method.startswith(_HEALTH):
            return grpc.unary_unary_rpc_method_handler(self._check)
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _check(self, _request: bytes, _context: Any) -> bytes:
        self.checks += 1
        return _SERVING if self.healthy else _NOT_SERVING

    def _answer(self, _request: bytes, _context: Any) -> bytes:
        self.calls += 1
        self.first = self.first or time.monotonic()
        return json.dumps({"address": self.address, "pod": self.address}).encode()


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, find: Callable[[grpc.HandlerCallDetails], Any]) -> None:
        self._find = find

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Say who answers a method."""
        return self._find(handler_call_details)


class Backends:
    """Where servers are started, none ever at an address that another had."""

    def __init__(self) -> None:
        self._addresses: Iterator[str] = map(str, _NETWORK.hosts())
        self._started: list[Backend] = []

    def start(self) -> Backend:
        """Start a server; when this returns it answers."""
        self._started.append(Backend(next(self._addresses)))
        return self._started[-1]

    def several(self, count: int) -> list[Backend]:
        """Start some."""
        return [self.start() for _ in range(count)]

    def kill(self) -> None:
        """End all."""
        for each in self._started:
            each.kill()


@asynccontextmanager
async def backends() -> AsyncIterator[Backends]:
    """Have the servers' network for a while."""
    found = Backends()
    async with AsyncIPRoute() as link:
        (loopback,) = await link.link_lookup(ifname=_LOOPBACK)
        await link.route("add", dst=str(_NETWORK), oif=loopback, **_LOCAL)
        try:
            yield found
        finally:
            found.kill()
            await link.route("del", dst=str(_NETWORK), oif=loopback, **_LOCAL)
