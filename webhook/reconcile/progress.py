"""How far a change has come: from when it was seen until its last Pod carries what it should."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass

from webhook.reconcile.keep import PodKey


@dataclass(slots=True, eq=False)
class Batch:
    """The Pods that one storm of changes concerns."""

    since: float
    left: set[PodKey]
    patched: int = 0
    patched_at: float = 0.0


class Progress:
    """Follows changes; tells each one's duration once, when its last Pod is done. Times are the caller's."""

    def __init__(self, observe: Callable[[float, int], None]) -> None:
        """Take what hears of a duration in seconds and a number of patched Pods; without any there is none."""
        self._observe = observe
        self._batches: defaultdict[PodKey, list[Batch]] = defaultdict(list)

    def begin(self, since: float, keys: Collection[PodKey]) -> None:
        """Follow a change that was seen at a time."""
        batch = Batch(since, set(keys))
        for key in batch.left:
            self._batches[key].append(batch)

    def of(self, key: PodKey) -> tuple[Batch, ...]:
        """Give the changes that wait for a Pod now; a later one is not done with what is written for these."""
        return tuple(self._batches.get(key, ()))

    def done(self, key: PodKey, batches: Collection[Batch], *, patched_at: float | None = None) -> None:
        """Note that a Pod is as these changes want it, by a patch of ours or as it was."""
        for batch in batches:
            if key not in batch.left:
                continue
            batch.left.discard(key)
            if patched_at is not None:
                batch.patched, batch.patched_at = batch.patched + 1, patched_at
            if not batch.left and batch.patched:
                self._observe(batch.patched_at - batch.since, batch.patched)
        waiting = [batch for batch in self._batches.get(key, ()) if key in batch.left]
        if waiting:
            self._batches[key] = waiting
        else:
            self._batches.pop(key, None)

    def gone(self, key: PodKey) -> None:
        """Note that nobody needs to write to a Pod any more."""
        self.done(key, self.of(key))
