"""The calling side: a few keep-alive connections over TLS, each with one request under way at a time.

Requests are written beforehand and answers only measured by length, so that the caller costs little.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast

_SERVER_NAME: Final = "127.0.0.1"
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "
_PATIENCE: Final = 10.0


@dataclass(slots=True)
class Counted:
    """What became of the requests of one round."""

    latencies: list[float] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0
    caller_cpu: float = 0.0

    @property
    def per_second(self) -> float:
        """Give the answered requests per second."""
        return len(self.latencies) / self.seconds


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send what."""

    port: int
    context: ssl.SSLContext
    requests: Sequence[bytes]
    answer_bytes: int = 0
    """The length of a right answer's body; 0 is any."""


class _Connection(asyncio.Protocol):
    """One connection: sends the next request when the last is answered, until the time is over."""

    def __init__(self, target: Target, first: int, counted: Counted) -> None:
        self._requests = itertools.cycle((*target.requests[first:], *target.requests[:first]))
        self._expected = target.answer_bytes
        self._counted = counted
        self._missing = 0
        self._begun = self._until = 0.0
        self._good = False
        self._buffer = b""
        self.body = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def start(self, until: float) -> None:
        """Send the first request; the last is sent before `until`."""
        self._until = until
        self._send()

    def _send(self) -> None:
        self._begun = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        """Count bytes until the answer is complete."""
        if self._missing == 0:
            data = self._read_head(self._buffer + data)
        self._missing -= len(data)
        if self._expected == 0:
            self.body += data
        if self._missing == 0 and not self._buffer:
            self._answered()

    def _read_head(self, data: bytes) -> bytes:
        """Note status and length; give what has come of the body, or keep all where the head is incomplete."""
        head, found, body = data.partition(_HEAD_END)
        if not found:
            self._buffer = data
            return b""
        self._buffer = b""
        length = int(head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0])
        self._missing = length
        self._good = head.startswith(b"HTTP/1.1 200") and self._expected in (0, length)
        return body

    def _answered(self) -> None:
        now = time.perf_counter()
        self._counted.latencies.append(now - self._begun)
        self._counted.failed += not self._good
        if now < self._until:
            self._send()
        elif not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a connection that broke before its time as one failed request."""
        if not self.done.done():
            self._counted.failed += 1
            self.done.set_exception(exc or ConnectionResetError("the server closed the connection"))

    async def ask(self) -> bool:
        """Send one request and wait for its answer; say whether that was right."""
        before = self._counted.failed
        self.done = asyncio.get_running_loop().create_future()
        self.start(0.0)
        async with asyncio.timeout(_PATIENCE):
            await self.done
        return self._counted.failed == before

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


async def call_for(target: Target, connections: int, seconds: float) -> Counted:
    """Keep connections busy for some seconds; connecting is not counted."""
    counted = Counted()
    opened = await asyncio.gather(*(_open(target, number, counted) for number in range(connections)))
    cpu, begun = time.process_time(), time.perf_counter()
    for connection in opened:
        connection.start(begun + seconds)
    async with asyncio.timeout(seconds + _PATIENCE):
        await asyncio.gather(*(connection.done for connection in opened), return_exceptions=True)
    counted.seconds = time.perf_counter() - begun
    counted.caller_cpu = time.process_time() - cpu
    for connection in opened:
        connection.close()
    return counted


async def call_once(target: Target) -> tuple[bool, bytes]:
    """Send one request; say whether it was answered by 200, and give the answer's body."""
    counted = Counted()
    connection = await _open(target, 0, counted)
    connection.start(0.0)
    async with asyncio.timeout(_PATIENCE):
        await connection.done
    connection.close()
    return counted.failed == 0, connection.body


async def open_connection(target: Target) -> _Connection:
    """Connect, for requests one by one."""
    return await _open(target, 0, Counted())


async def _open(target: Target, number: int, counted: Counted) -> _Connection:
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: _Connection(target, number % len(target.requests), counted),
        "127.0.0.1",
        target.port,
        ssl=target.context,
        server_hostname=_SERVER_NAME,
    )
    return connection
