"""The reconciler: follows Pods and Services, and while it leads patches the Pods that are not as they should be."""

from __future__ import annotations

import asyncio
import random
import socket
import uuid
from typing import Final

from webhook.core import names
from webhook.core.catalog import Catalog
from webhook.kube.api import Api
from webhook.kube.discovery import Changed
from webhook.kube.errors import ClusterError
from webhook.kube.pace import Pace
from webhook.kube.reflector import Change, ChangeKind, Observer, Reflector
from webhook.kube.resources import PODS
from webhook.reconcile.keep import keep_pod
from webhook.reconcile.leader import Election
from webhook.reconcile.metrics import ReconcilerMetrics, Result
from webhook.reconcile.pace import Bucket, backoff
from webhook.reconcile.plan import Refresher
from webhook.reconcile.queue import Rank
from webhook.reconcile.tell import Teller
from webhook.reconcile.work import Job, Work
from webhook.reconcile.write import concerns_all, result_of, write
from webhook.settings import ReconcileSettings

SELECTOR: Final = f"{names.INJECTED}={names.INJECTED_VALUE}"
LIVE: Final = "status.phase!=Succeeded,status.phase!=Failed"
"""A field selector: what has ended is not kept in memory."""
_IN_FLIGHT: Final = 8
_PATCH_SECONDS: Final = 5.0
"""A patch takes milliseconds. One that hangs is given up before the Lease could be another's."""
_TICK_SECONDS: Final = 1.0
_LOOKS: Final = 50
"""So many Pods are looked at before changes that have settled meanwhile are taken up."""
_OUT_OF_TERM_SECONDS: Final = 0.5
_DRAIN_SECONDS: Final = 2.0
"""At the end patches on their way may take so long: whoever leads next then sees them as done."""
_PAUSE: Final = (0.5, 30.0)
"""Seconds in which nothing is patched when the API server does not answer: at first, and at most."""


def own_identity() -> str:
    """Give a name for this process that no other has, nor a later one of the same Pod."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


class Reconciler:
    """Keeps live Pods true. One of several replicas does, the others follow in memory and stand by.

    It does not watch Services itself: whoever does calls `publish` with each new catalog.
    """

    def __init__(
        self,
        api: Api,
        refresher: Refresher,
        settings: ReconcileSettings,
        metrics: ReconcilerMetrics,
        *,
        namespace: str,
        identity: str,
        observer: Observer | None = None,
        pace: Pace | None = None,
        chance: random.Random | None = None,
    ) -> None:
        """Take the door to the API server, who says what a Pod should carry, and the Lease's namespace."""
        self._api = api
        self._metrics = metrics
        self._chance = chance or random.Random()  # noqa: S311 - spreads requests, guards nothing
        pace = pace or Pace()
        self._clock = pace.clock  # not the event loop's: uvloop's stands still while something runs
        self._teller = Teller()
        self._work = Work(refresher, metrics, self._teller, settle_seconds=settings.settle_seconds, chance=self._chance)
        self._bucket = Bucket(settings.patches_per_second, self._clock())
        self._pauses = 0
        self._writing: set[asyncio.Task[None]] = set()
        self._to_check, self._to_patch = asyncio.Event(), asyncio.Event()
        self._pods = Reflector(
            api,
            PODS,
            handler=self._pod_changed,
            label_selector=SELECTOR,
            field_selector=LIVE,
            keep=keep_pod,
            pace=pace,
            observer=observer,
        )
        self.election = Election(
            api,
            settings.lease,
            namespace,
            identity,
            clock=self._clock,
            changed=self._leads,
            chance=self._chance,
        )

    def publish(self, catalog: Catalog, changed: Changed | None = None) -> None:
        """Take a new catalog; fits both Discovery's `publish` and its `subscribe`."""
        known = None if changed is None or changed.everything else changed.services
        self._work.publish(catalog, self._clock(), changed=known)
        self._wake()

    def missing(self) -> str | None:
        """Say why this replica could not take over now, or None."""
        if self._work.catalog is None:
            return "the Services are not known yet"
        if not self._pods.synced:
            return f"the Pods are not known yet{f': {self._pods.last_error}' if self._pods.last_error else ''}"
        return None

    async def run(self) -> None:
        """Work until cancelled, then let patches on their way arrive and give the Lease back."""
        try:
            async with asyncio.TaskGroup() as writes:
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._pods.run(), name="follow pods")
                        group.create_task(self.election.run(), name="keep the lease")
                        group.create_task(self._tick(), name="make rounds")
                        group.create_task(self._check(), name="look at pods")
                        group.create_task(self._patch(writes), name="patch pods")
                finally:
                    await self._drain()
        finally:
            await self.election.release()

    async def _drain(self) -> None:
        if self._writing:
            await asyncio.wait(tuple(self._writing), timeout=_DRAIN_SECONDS)

    def _pod_changed(self, change: Change) -> None:
        if change.kind is ChangeKind.DELETED:
            self._work.deleted(change.object)
        elif change.kind is not ChangeKind.REPLACED:
            # Those of the first list have not changed: a Service that does meanwhile goes before them.
            rank = Rank.NEAR if self._pods.synced else Rank.ROUND
            self._work.seen(change.object, self._clock(), rank=rank)
        self._wake()

    def _leads(self, leads: bool) -> None:
        self._metrics.leading(leads)
        self._work.lead(leads, self._clock())
        self._wake()

    def _wake(self) -> None:
        self._to_check.set()
        self._to_patch.set()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._to_check.set()

    async def _check(self) -> None:
        """Look at Pods one by one; others on the loop get their turn between two of them."""
        while True:
            self._to_check.clear()
            self._work.tick(self._clock())
            for _ in range(_LOOKS):
                if not self._work.check(self._clock()):
                    await _doze(self._to_check, self._work.wait_for_check(self._clock()))
                    break
                self._to_patch.set()
                await asyncio.sleep(0)

    async def _patch(self, writes: asyncio.TaskGroup) -> None:
        places = asyncio.Semaphore(_IN_FLIGHT)
        while True:
            await places.acquire()
            job = await self._next()
            task = writes.create_task(self._write(job, places), name=f"patch {job.turn.key}")
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _next(self) -> Job:
        """Wait for the next patch that may be made now."""
        while True:
            self._to_patch.clear()
            now = self._clock()
            wait = self._wait(now)
            job = self._work.next_patch(now) if wait == 0.0 else None
            if job is not None:
                self._bucket.take(now)
                return job
            await _doze(self._to_patch, wait)

    def _wait(self, now: float) -> float | None:
        """Say in how many seconds the next patch may be made; None where nobody knows."""
        waiting = self._work.wait_for_patch(now)
        if waiting is None:
            return None
        # While a renewal is on its way after the term's end nothing is written, and nothing is given up yet.
        return max(waiting, self._bucket.wait(now), 0.0 if self.election.leads_for() > 0.0 else _OUT_OF_TERM_SECONDS)

    async def _write(self, job: Job, places: asyncio.Semaphore) -> None:
        try:
            answer = await write(self._api, job.live, job.rewrite, min(_PATCH_SECONDS, self.election.leads_for()))
        except ClusterError as error:
            self._failed(job, error)
        else:
            self._pauses = 0
            self._metrics.patch(Result.PATCHED)
            self._work.patched(job, answer, self._clock())
        finally:
            places.release()
            self._wake()

    def _failed(self, job: Job, error: ClusterError) -> None:
        result, now = result_of(error), self._clock()
        self._metrics.patch(result)
        if result not in (Result.GONE, Result.CONFLICT):
            self._teller.failed(job.turn.key, error)
        if concerns_all(error):
            self._pause(now, error.retry_after or 0.0)
        else:
            self._pauses = 0
        self._work.failed(job, result, now, at_least=error.retry_after or 0.0)

    def _pause(self, now: float, at_least: float) -> None:
        """Patch nothing for a while; failures of patches that were sent together count once."""
        if self._bucket.closed(now):
            return
        self._pauses += 1
        first, most = _PAUSE
        self._bucket.close(now + max(at_least, backoff(self._pauses, first=first, most=most, chance=self._chance)))


async def _doze(bell: asyncio.Event, seconds: float | None) -> None:
    """Wait for the bell, or for so long."""
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        pass
