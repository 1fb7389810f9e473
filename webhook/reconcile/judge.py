"""Judges Pods one by one, and keeps account of those that are left alone."""

from __future__ import annotations

from typing import Final

from webhook.core.catalog import Catalog
from webhook.reconcile.keep import LivePod, PodKey
from webhook.reconcile.metrics import ReconcilerMetrics
from webhook.reconcile.plan import Left, LeftAlone, Plan, Refresher, plan
from webhook.reconcile.tell import Teller

SPARED_SECONDS: Final = 300.0
"""What a newer version of ours has written stays for so long: in an upgrade our successor is about to take over.
Whoever still leads then is there to stay, as after a rollback."""


class Judge:
    """Says what is to be done about a Pod; one that cannot be judged is left alone. Times are the caller's."""

    def __init__(self, refresher: Refresher, metrics: ReconcilerMetrics, teller: Teller) -> None:
        self._refresher = refresher
        self._metrics = metrics
        self._teller = teller
        self._left: dict[PodKey, LeftAlone] = {}
        self._newer_since: float | None = None

    def judge(self, live: LivePod, catalog: Catalog, now: float) -> Plan:
        """Compare what a Pod carries with what it should; never raises."""
        found = self._plan(live, catalog, now)
        reason = found.reason if isinstance(found, Left) else None
        if isinstance(found, Left):
            self._teller.left_alone(live, found)
        if reason is LeftAlone.NEWER_VERSION and self._newer_since is None:
            self._newer_since = now
        self._leave(live.key, reason)
        return found

    def spared_until(self) -> float:
        """Say until when Pods that a newer version has written stay as they are."""
        return (self._newer_since or 0.0) + SPARED_SECONDS

    def forget(self, key: PodKey) -> None:
        """Forget a Pod."""
        self._leave(key, None)

    def reset(self) -> None:
        """Forget all."""
        self._newer_since = None
        for key in tuple(self._left):
            self.forget(key)

    def _plan(self, live: LivePod, catalog: Catalog, now: float) -> Plan:
        spare = self._newer_since is None or now < self.spared_until()
        try:
            return plan(live, catalog, self._refresher, spare_newer=spare)
        except Exception as error:  # noqa: BLE001 - a mistake of ours with one Pod must not cost all others theirs
            self._teller.crashed(live, error)
            return Left(LeftAlone.BUG)

    def _leave(self, key: PodKey, reason: LeftAlone | None) -> None:
        before = self._left.pop(key, None)
        if reason is not None:
            self._left[key] = reason
        if before is not reason:
            self._metrics.left_alone(before, reason)
