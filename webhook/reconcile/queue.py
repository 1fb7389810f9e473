"""Whose turn it is: nearest change first, in each rank who waits longest. A pure data structure."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from webhook.reconcile.keep import PodKey

_SHARE: Final = 8
"""Each eighth turn is the one's who waits longest of all: the near ones never keep the far ones out for ever."""


class Rank(IntEnum):
    """How near the change is."""

    NEAR = 0
    """In the Pod's own namespace, or of the Pod itself."""
    FAR = 1
    """Of a Service exported to it."""
    ROUND = 2
    """None that is known: looked at to be sure."""


class Turn(NamedTuple):
    """Whose turn it is, and what the place was; with it a Pod can be put back where it stood."""

    key: PodKey
    rank: Rank
    since: float


@dataclass(frozen=True, slots=True)
class _Entry:
    key: PodKey
    rank: Rank
    since: float
    order: int
    due: float


class Queue:
    """Each Pod stands in it once, however often it is put in; it keeps its place and its nearest rank."""

    def __init__(self) -> None:
        self._entries: dict[PodKey, _Entry] = {}
        self._ready: dict[Rank, list[tuple[float, int, PodKey]]] = {rank: [] for rank in Rank}
        self._resting: list[tuple[float, int, PodKey]] = []
        self._count = 0
        self._turns = 0

    def __len__(self) -> int:
        """Count all, the resting ones too."""
        return len(self._entries)

    def __contains__(self, key: PodKey) -> bool:
        """Say whether a Pod stands in it."""
        return key in self._entries

    def __iter__(self) -> Iterator[PodKey]:
        """Give every Pod, in no order."""
        return iter(tuple(self._entries))

    def put(self, turn: Turn, now: float, *, due: float = 0.0) -> None:
        """Put a Pod in; it is not given before `due`, nor before a time that was set earlier."""
        old = self._entries.get(turn.key, _Entry(*turn, order=0, due=due))
        rank, since = min(turn.rank, old.rank), min(turn.since, old.since)
        if old.order and (rank, since) == (old.rank, old.since) and due <= old.due:
            return
        self._count += 1
        entry = self._entries[turn.key] = _Entry(turn.key, rank, since, self._count, max(due, old.due))
        if entry.due > now:
            heapq.heappush(self._resting, (entry.due, entry.order, entry.key))
        else:
            self._make_ready(entry)

    def take(self, now: float) -> Turn | None:
        """Give whose turn it is and take it out; None where nobody is due."""
        self._wake(now)
        heads = [(rank, self._ready[rank][0]) for rank in Rank if self._head(rank)]
        if not heads:
            return None
        self._turns += 1
        rank, (since, _, key) = min(heads, key=lambda head: head[1][0]) if self._turns % _SHARE == 0 else heads[0]
        heapq.heappop(self._ready[rank])
        del self._entries[key]
        return Turn(key, rank, since)

    def drop(self, key: PodKey) -> None:
        """Forget a Pod."""
        self._entries.pop(key, None)

    def wait(self, now: float) -> float | None:
        """Say in how many seconds somebody is due; None where the queue is empty."""
        self._wake(now)
        if any(self._head(rank) for rank in Rank):
            return 0.0
        return max(0.0, self._resting[0][0] - now) if self._resting else None

    def _make_ready(self, entry: _Entry) -> None:
        heapq.heappush(self._ready[entry.rank], (entry.since, entry.order, entry.key))

    def _wake(self, now: float) -> None:
        """Let those in whose rest is over; what a later `put` or `drop` has overtaken falls out."""
        while self._resting:
            due, order, key = self._resting[0]
            entry = self._entries.get(key)
            current = entry is not None and entry.order == order
            if current and due > now:
                return
            heapq.heappop(self._resting)
            if current and entry is not None:
                self._make_ready(entry)

    def _head(self, rank: Rank) -> bool:
        """Say whether a rank has somebody, after what was overtaken has fallen out."""
        heap = self._ready[rank]
        while heap:
            entry = self._entries.get(heap[0][2])
            if entry is not None and entry.order == heap[0][1]:
                return True
            heapq.heappop(heap)
        return False
