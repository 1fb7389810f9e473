"""What is wrong with EndpointSlices: counted by code, and each told once when it appears."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Gauge

from webhook.core.endpoints import EndpointBook
from webhook.core.model import Problem

_PAUSE_SECONDS: Final = 1.0
_MOST_LINES: Final = 100
"""At a time: a controller that writes nonsense writes it to every slice."""


class EndpointProblems:
    """Looks at a book after it was stirred, at most once a second."""

    def __init__(
        self,
        book: EndpointBook,
        registry: CollectorRegistry,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._book = book
        self._sleep = sleep
        self._gauge = Gauge(
            "evenkeel_xds_endpoint_problems",
            "What is wrong in EndpointSlices and left out.",
            ["code"],
            registry=registry,
        )
        self._stirred = asyncio.Event()
        self._told: frozenset[Problem] = frozenset()
        self._log = structlog.get_logger().bind()

    def stir(self) -> None:
        """Say that the book has changed."""
        self._stirred.set()

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            self._look()
            await self._sleep(_PAUSE_SECONDS)

    def _look(self) -> None:
        found = self._book.problems
        problems = frozenset(found)
        if problems == self._told:
            return
        self._gauge.clear()
        for code, count in Counter(problem.code for problem in found).items():
            self._gauge.labels(code).set(count)
        new = [problem for problem in found if problem not in self._told]
        for problem in new[:_MOST_LINES]:
            self._log.warning("endpoint problem", code=problem.code, where=problem.where, message=problem.message)
        if len(new) > _MOST_LINES:
            self._log.warning("more endpoint problems are only counted", count=len(new) - _MOST_LINES)
        self._told = problems
