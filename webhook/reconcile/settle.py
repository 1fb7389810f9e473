"""Changes of one storm are dealt with together: a namespace is taken up when it has been quiet for a moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from webhook.reconcile.queue import Rank

LONGEST: Final = 2.0
"""Seconds; a namespace whose Services change without end is taken up all the same."""


@dataclass(frozen=True, slots=True)
class Storm:
    """Changes that concern one namespace."""

    namespace: str
    rank: Rank
    first: float
    last: float


class Settling:
    """The namespaces that are waited for. Times are the caller's."""

    def __init__(self, quiet: float, *, longest: float = LONGEST) -> None:
        """Wait until nothing has changed for `quiet` seconds, but no longer than `longest` after the first change."""
        self._quiet = quiet
        self._longest = longest
        self._storms: dict[str, Storm] = {}

    def changed(self, namespace: str, rank: Rank, now: float) -> None:
        """Note a change that concerns a namespace."""
        old = self._storms.get(namespace, Storm(namespace, rank, now, now))
        self._storms[namespace] = Storm(namespace, min(rank, old.rank), old.first, now)

    def due(self, now: float) -> list[Storm]:
        """Give the namespaces that have settled and take them out, nearest first."""
        settled = [storm for storm in self._storms.values() if self._end(storm) <= now]
        for storm in settled:
            del self._storms[storm.namespace]
        return sorted(settled, key=lambda storm: (storm.rank, storm.first, storm.namespace))

    def wait(self, now: float) -> float | None:
        """Say in how many seconds one will have settled; None where none is waited for."""
        ends = [self._end(storm) for storm in self._storms.values()]
        return max(0.0, min(ends) - now) if ends else None

    def _end(self, storm: Storm) -> float:
        return min(storm.last + self._quiet, storm.first + self._longest)
