"""What there is to do: hears of Pods, Services and leadership, and says which Pod to patch next. Knows no network."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from webhook.core.catalog import Catalog
from webhook.core.model import ServiceRef
from webhook.reconcile.concern import concern
from webhook.reconcile.judge import Judge
from webhook.reconcile.keep import LivePod, PodKey
from webhook.reconcile.metrics import ReconcilerMetrics, Result
from webhook.reconcile.pace import backoff
from webhook.reconcile.plan import Left, LeftAlone, Refresher, Rewrite
from webhook.reconcile.pods import Pods
from webhook.reconcile.progress import Batch, Progress
from webhook.reconcile.queue import Queue, Rank, Turn
from webhook.reconcile.rounds import Rounds
from webhook.reconcile.settle import Settling
from webhook.reconcile.tell import Teller
from webhook.reconcile.undone import Undone

RETRIES: Final = {
    Result.CONFLICT: (0.2, 30.0),
    Result.FORBIDDEN: (60.0, 600.0),
    Result.REFUSED: (60.0, 600.0),
    Result.UNREACHABLE: (0.5, 60.0),
}
"""Seconds until the first further attempt at the same Pod, and at most."""


@dataclass(frozen=True, slots=True)
class Job:
    """One patch to be made."""

    turn: Turn
    live: LivePod
    rewrite: Rewrite
    batches: tuple[Batch, ...]
    """The changes that are done with it."""
    term: int
    """The term of leadership it belongs to."""


class Work:
    """Everything that is to be done by the replica that leads; the others only keep what they know up to date.

    Looking at a Pod is cheap and comes first, in a queue of its own, so that it is known how many are out of date;
    patching is paced. Both queues are in the order of `Queue`. Times are the caller's.
    """

    def __init__(
        self,
        refresher: Refresher,
        metrics: ReconcilerMetrics,
        teller: Teller,
        *,
        settle_seconds: float,
        chance: random.Random,
    ) -> None:
        self.catalog: Catalog | None = None
        self.pods = Pods()
        self._metrics = metrics
        self._teller = teller
        self._judge = Judge(refresher, metrics, teller)
        self._settle_seconds = settle_seconds
        self._chance = chance
        self._leads = False
        self._term = 0
        self._reset(0.0)
        metrics.follow(known=lambda: len(self.pods), out_of_date=lambda: len(self._patches) + len(self._flying))

    def _reset(self, now: float) -> None:
        """Forget all that only a leader has to know."""
        self._term += 1
        self._settling = Settling(self._settle_seconds)
        self._progress = Progress(self._change_done)
        self._checks, self._patches = Queue(), Queue()
        self._rounds = Rounds(now)
        self._undone = Undone()
        self._flying: dict[PodKey, Turn | None] = {}
        """Pods whose patch is on its way; with a turn where they are to be looked at once more after it."""
        self._failures: dict[PodKey, int] = {}
        self._judge.reset()

    def lead(self, leads: bool, now: float) -> None:
        """Begin to work, with a look at every Pod; or stop."""
        self._leads = leads
        self._reset(now)
        self._look_at(self.pods, Rank.ROUND, now, now)

    def publish(self, catalog: Catalog, now: float, *, changed: Collection[ServiceRef] | None = None) -> None:
        """Take a new catalog; `changed` says which Services are others than before, where that is known."""
        before, self.catalog = self.catalog, catalog
        if before is None or not self._leads:
            return  # the first one is what the look at every Pod has waited for
        concerned = concern(before, catalog, changed)
        for namespace in self.pods.namespaces() if concerned else ():
            if namespace in concerned.near:
                self._settling.changed(namespace, Rank.NEAR, now)
            elif concerned.everywhere or namespace in concerned.far:
                self._settling.changed(namespace, Rank.FAR, now)

    def seen(self, live: LivePod, now: float, *, rank: Rank = Rank.NEAR) -> None:
        """Take a Pod as it is now."""
        known = self.pods.get(live.key)
        if known is not None and known.uid != live.uid:
            self._forget(live.key)  # what was refused or undone on a predecessor says nothing of this one
        if self.pods.put(live):
            self._look_at((live.key,), rank, now, now)

    def deleted(self, live: LivePod) -> None:
        """Forget a Pod."""
        if self.pods.remove(live):
            self._forget(live.key)

    def tick(self, now: float) -> None:
        """Take up the namespaces that have settled, and the Pods whose turn it is in the round."""
        storms = self._settling.due(now)
        concerned = {storm: self.pods.of(storm.namespace) for storm in storms}
        if storms:
            everyone = [key for keys in concerned.values() for key in keys]
            self._progress.begin(min(storm.first for storm in storms), everyone)
        for storm, keys in concerned.items():
            self._look_at(keys, storm.rank, storm.first, now)
        if self._leads:
            self._look_at(self._rounds.due(self.pods, now), Rank.ROUND, now, now)

    def check(self, now: float) -> bool:
        """Look at one Pod whether it has to be patched; say whether one was waiting for that."""
        turn = self._checks.take(now) if self.catalog is not None else None
        if turn is None:
            return False
        if turn.key in self._flying:
            self._flying[turn.key] = turn
        elif (found := self._judged(turn, now)) is not None:
            live, rewrite = found
            self._patches.put(turn, now, due=self._rest(live, rewrite))
        return True

    def next_patch(self, now: float) -> Job | None:
        """Give the next patch to be made. The Pod is judged once more: much may have changed since it was looked at."""
        turn = self._patches.take(now)
        found = self._judged(turn, now) if turn is not None else None
        if turn is None or found is None:
            return None
        live, rewrite = found
        rest = self._rest(live, rewrite)
        if rest > now:
            self._patches.put(turn, now, due=rest)
            return None
        self._flying[turn.key] = None
        return Job(turn, live, rewrite, self._progress.of(turn.key), self._term)

    def patched(self, job: Job, answer: LivePod, now: float) -> None:
        """Take the API server's answer to a patch; it also says whether the Pod is now as it should be."""
        known = self.pods.get(job.turn.key)
        if known is not None and known.uid == answer.uid:  # else it went while the answer was on its way
            self.pods.put(answer)
        if not self._landed(job, now):
            return
        key, uid, mark = job.turn.key, job.live.uid, job.rewrite.mark
        if self._undone.times(key, uid, mark):
            self._metrics.undone()
            self._teller.undone(job.live)
        self._undone.wrote(key, uid, mark, now)
        self._failures.pop(key, None)
        self._progress.done(key, job.batches, patched_at=now)
        self._look_at((key,), job.turn.rank, now, now)

    def failed(self, job: Job, result: Result, now: float, *, at_least: float = 0.0) -> None:
        """Note that a patch did not come about; the Pod keeps its place and is tried again after a pause."""
        if not self._landed(job, now):
            return
        key = job.turn.key
        if result is Result.GONE:
            self.deleted(job.live)
            return
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        first, most = RETRIES[result]
        pause = max(at_least, backoff(failures, first=first, most=most, chance=self._chance))
        self._patches.put(job.turn, now, due=now + pause)

    def wait_for_check(self, now: float) -> float | None:
        """Say in how many seconds there is something to look at or to take up; None where that is open."""
        checks = self._checks.wait(now) if self.catalog is not None else None
        return min((wait for wait in (checks, self._settling.wait(now)) if wait is not None), default=None)

    def wait_for_patch(self, now: float) -> float | None:
        """Say in how many seconds there may be a patch to make; None where that is open."""
        return self._patches.wait(now)

    def _change_done(self, seconds: float, pods: int) -> None:
        self._metrics.change_done(seconds)
        self._teller.change_done(seconds, pods)

    def _look_at(self, keys: Iterable[PodKey], rank: Rank, since: float, now: float) -> None:
        for key in keys if self._leads else ():
            self._checks.put(Turn(key, rank, since), now)

    def _judged(self, turn: Turn, now: float) -> tuple[LivePod, Rewrite] | None:
        """Judge a Pod; give what to write, or take it off every list where there is nothing to write."""
        live, catalog = self.pods.get(turn.key), self.catalog
        if live is None or catalog is None:
            self._forget(turn.key)
            return None
        found = self._judge.judge(live, catalog, now)
        if isinstance(found, Rewrite):
            return live, found
        self._patches.drop(turn.key)
        self._failures.pop(turn.key, None)
        self._progress.gone(turn.key)
        if isinstance(found, Left) and found.reason is LeftAlone.NEWER_VERSION:
            self._checks.put(turn, now, due=self._judge.spared_until())
        return None

    def _rest(self, live: LivePod, rewrite: Rewrite) -> float:
        return self._undone.rest_until(live.key, live.uid, rewrite.mark)

    def _landed(self, job: Job, now: float) -> bool:
        """Take a Pod from those whose patch is on its way; say whether it was sent in this term."""
        if job.term != self._term:
            return False
        again = self._flying.pop(job.turn.key)
        if again is not None:
            self._checks.put(again, now)
        return True

    def _forget(self, key: PodKey) -> None:
        self._checks.drop(key)
        self._patches.drop(key)
        self._failures.pop(key, None)
        self._undone.forget(key)
        self._progress.gone(key)
        self._judge.forget(key)
