"""Uvicorn's HTTP protocol with an end to every wait: it has none for a request's head."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD_SECONDS: Final = 0.9
_SENTENCE: Final = f"head: found it unfinished after {_HEAD_SECONDS} s, expected all of it"


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections on which no request comes, and answers 400 where one begins and does not go on."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a first request no longer than for a next one."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def data_received(self, data: bytes) -> None:
        """Start the clock with the first byte of a head, and stop it with the last."""
        super().data_received(data)
        unfinished = self.cycle is None or self.cycle.response_complete
        if not unfinished:
            self._stop_clock()
        elif self._head is None:
            self._head = self.loop.call_later(_HEAD_SECONDS, self._head_too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def _stop_clock(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _head_too_slow(self) -> None:
        self._head = None
        if not self.transport.is_closing():
            self.logger.warning(_SENTENCE)
            self.send_400_response(_SENTENCE)
