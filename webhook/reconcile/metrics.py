"""What the reconciler tells of itself."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from webhook.reconcile.plan import LeftAlone


class Result(StrEnum):
    """What became of one patch."""

    PATCHED = "patched"
    CONFLICT = "conflict"
    GONE = "gone"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


_BUCKETS: Final = (0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 30, 60, 120, 300, 600, 1800)


class ReconcilerMetrics:
    """Every metric of the reconciler; only the leader's show work."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._pods = Gauge("evenkeel_reconciler_pods", "Live Pods with a sidecar of ours.", registry=registry)
        self._out_of_date = Gauge(
            "evenkeel_reconciler_pods_out_of_date",
            "Pods that carry something else than they should.",
            registry=registry,
        )
        self._patches = Counter(
            "evenkeel_reconciler_patches", "Patches of Pods by what became of them.", ["result"], registry=registry
        )
        self._change = Histogram(
            "evenkeel_reconciler_service_change_to_last_pod_seconds",
            "From seeing a change of Services until the last Pod it concerns was patched.",
            registry=registry,
            buckets=_BUCKETS,
        )
        self._leader = Gauge("evenkeel_reconciler_leader", "1 in the replica that writes.", registry=registry)
        self._left_alone = Gauge(
            "evenkeel_reconciler_pods_left_alone",
            "Pods that are not kept true, by reason.",
            ["reason"],
            registry=registry,
        )
        self._undone = Counter(
            "evenkeel_reconciler_undone", "Patches that somebody else had taken back.", registry=registry
        )
        for result in Result:
            self._patches.labels(result.value)
        for reason in LeftAlone:
            self._left_alone.labels(reason.value)

    def follow(self, known: Callable[[], int], out_of_date: Callable[[], int]) -> None:
        """Take who knows how many Pods there are, and how many are not as they should be."""
        self._pods.set_function(known)
        self._out_of_date.set_function(out_of_date)

    def patch(self, result: Result) -> None:
        """Count one patch."""
        self._patches.labels(result.value).inc()

    def undone(self) -> None:
        """Count a patch of ours that was taken back."""
        self._undone.inc()

    def change_done(self, seconds: float) -> None:
        """Note how long a change took to its last Pod."""
        self._change.observe(seconds)

    def leading(self, leads: bool) -> None:
        """Tell whether this replica writes."""
        self._leader.set(leads)

    def left_alone(self, before: LeftAlone | None, now: LeftAlone | None) -> None:
        """Note that the reason for leaving one Pod alone has changed; None is none."""
        if before is not None:
            self._left_alone.labels(before.value).dec()
        if now is not None:
            self._left_alone.labels(now.value).inc()
