"""What is counted about the requests to one path."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram

_BUCKETS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class RequestMetrics:
    """`evenkeel_KINDs_total` and `evenkeel_KIND_duration_seconds`."""

    def __init__(self, registry: CollectorRegistry, kind: str, path: str) -> None:
        requests = Counter(
            f"evenkeel_{kind}s",
            f"Requests to {path} by what became of them.",
            ["result", "reason"],
            registry=registry,
        )
        self._duration = Histogram(
            f"evenkeel_{kind}_duration_seconds",
            "From a request's head to its answer.",
            registry=registry,
            buckets=_BUCKETS,
        )
        self._child = cache(requests.labels)

    def count(self, result: Any, reason: StrEnum, seconds: float) -> None:
        """Count one request; the labels come from enums."""
        self._child(result.value, reason.value).inc()
        self._duration.observe(seconds)
