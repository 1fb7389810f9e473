"""One client's stream: reads requests, writes responses, one at a time, and ends in good order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Final

import grpc

from webhook.xds.limits import Limits
from webhook.xds.metrics import Ending, XdsMetrics
from webhook.xds.pace import Pace
from webhook.xds.refused import RefusedLog
from webhook.xds.session import Malformed, Received, Session, TooMuch
from webhook.xds.subscriptions import Subscriptions

_EOF: Final = grpc.aio.EOF


class Stream:
    """Moves one session's bytes. Whoever reads slowly holds one response and waits alone."""

    def __init__(
        self,
        session: Session,
        context: Any,
        subscriptions: Subscriptions[Stream],
        metrics: XdsMetrics,
        log: RefusedLog,
        limits: Limits,
        first: bytes | None = None,
    ) -> None:
        """Take what it works with; `first` is a request that was read already."""
        self.session = session
        self._context = context
        self._subscriptions = subscriptions
        self._metrics = metrics
        self._log = log
        self._limits = limits
        self._first = first
        self._wake = asyncio.Event()
        self._ending: Ending | None = None
        self._waits_since: float | None = None

    def changed(self, type_url: str, name: str, since: float) -> None:
        """Hear that a name may be another now."""
        self.session.changed(type_url, name, since)
        self._wake.set()

    def end(self, why: Ending) -> None:
        """End it as soon as what is being written is written; the client comes again."""
        self._ending = self._ending or why
        self._wake.set()

    def slow(self, now: float) -> bool:
        """Say whether a response has been unread or unanswered for long."""
        return self._waits_since is not None and now - self._waits_since > self._limits.slow_seconds

    async def run(self, seconds: float) -> Ending:
        """Serve for so long at most; give why it has ended. Raises Malformed and TooMuch."""
        timer = asyncio.get_running_loop().call_later(seconds, self.end, Ending.LIFETIME)
        reader = asyncio.create_task(self._read(), name="read an ADS stream")
        reader.add_done_callback(lambda _: self._wake.set())
        try:
            while self._ending is None and not reader.done():
                await self._write()
                await self._wake.wait()
                self._wake.clear()
            if reader.done():
                reader.result()
            return self._ending or Ending.CLIENT
        finally:
            timer.cancel()
            reader.cancel()
            for type_url, name in self.session.wanted:
                self._subscriptions.drop(self, type_url, (name,))
            with contextlib.suppress(asyncio.CancelledError, Malformed, TooMuch):
                await reader

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        pace = Pace(self._limits, loop.time())
        while (data := await self._request()) is not _EOF:
            self._received(self.session.receive(data))
            if not self.session.waits:
                self._waits_since = None
            self._wake.set()
            if (seconds := pace.wait(len(data), loop.time())) > 0:
                await asyncio.sleep(seconds)

    async def _request(self) -> Any:
        first, self._first = self._first, None
        return await self._context.read() if first is None else first

    def _received(self, received: Received) -> None:
        self._subscriptions.drop(self, received.type_url, received.gone)
        self._subscriptions.add(self, received.type_url, received.added)
        if received.refused is not None:
            self._metrics.refused(received.type_url)
            self._log.tell(self.session.client, received.refused)

    async def _write(self) -> None:
        """Write what may be sent now; what changes while one is written is in the next one."""
        while self._ending is None and (response := self.session.take()) is not None:
            self._waits_since = time.monotonic()
            # However long the client takes: gRPC cannot be made to drop what is half written, and giving up here would
            # only let the client begin another stream beside it.
            try:
                await self._context.write(response.body)
            except grpc.aio.InternalError:  # gone, with this half written
                self.end(Ending.CLIENT)
                return
            since = response.since
            self._metrics.pushed(response.type_url, None if since is None else time.monotonic() - since)
