"""The safety net: every Pod is looked at again now and then, spread out evenly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from webhook.reconcile.keep import PodKey

PERIOD: Final = 600.0
"""Seconds for one round. Every change is acted on when it comes; a round only mends what a mistake of ours or a lost
event left behind. Looking at 10,000 Pods costs about a second of CPU, which every ten minutes is nothing."""


class Rounds:
    """Says whom to look at. Times are the caller's."""

    def __init__(self, now: float, *, period: float = PERIOD) -> None:
        self._period = period
        self._began = now
        self._size = 0
        self._rest: list[PodKey] = []

    def due(self, pods: Iterable[PodKey], now: float) -> list[PodKey]:
        """Give those whose turn has come since the last call; the first round begins a period after the start."""
        if now - self._began >= self._period:
            missed, self._rest = self._rest, list(pods)
            self._size, self._began = len(self._rest), now
            return missed
        waiting = int(self._size * (1.0 - (now - self._began) / self._period))
        given = self._rest[waiting:]
        del self._rest[waiting:]
        return given
