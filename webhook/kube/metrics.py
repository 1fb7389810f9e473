"""What is known of the watching; labels come from enums and resources, never from users."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from webhook.kube.errors import ClusterError, Forbidden, Gone, Invalid, NotFound, Silent, Unreachable
from webhook.kube.reflector import Relist

_THROTTLED: Final = 429


class ErrorReason(StrEnum):
    """Why a list or a watch failed."""

    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    EXPIRED = "expired"
    INVALID = "invalid"
    SILENT = "silent"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    OTHER = "other"


_REASONS: Final = (
    (Forbidden, ErrorReason.FORBIDDEN),
    (NotFound, ErrorReason.NOT_FOUND),
    (Gone, ErrorReason.EXPIRED),
    (Invalid, ErrorReason.INVALID),
    (Silent, ErrorReason.SILENT),
    (Unreachable, ErrorReason.UNREACHABLE),
)


def error_reason(error: ClusterError) -> ErrorReason:
    """Give the label for an error."""
    if error.status == _THROTTLED:
        return ErrorReason.THROTTLED
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), ErrorReason.OTHER)


class DiscoveryMetrics:
    """How well what is known follows the API server, by resource."""

    def __init__(self, registry: CollectorRegistry, *, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.up = Gauge(
            "evenkeel_discovery_connected",
            "1 while a list or watch of the API server goes well.",
            ["resource"],
            registry=registry,
        )
        self.last_contact = Gauge(
            "evenkeel_discovery_last_contact_timestamp_seconds",
            "When the API server last said something.",
            ["resource"],
            registry=registry,
        )
        self.objects = Gauge("evenkeel_discovery_objects", "Objects held.", ["resource"], registry=registry)
        self.relists = Counter(
            "evenkeel_discovery_relists", "Whole lists read, by why.", ["resource", "reason"], registry=registry
        )
        self.errors = Counter(
            "evenkeel_discovery_errors", "Failed lists and watches, by why.", ["resource", "reason"], registry=registry
        )

    def of(self, resource: str) -> ResourceMetrics:
        """Give the part of one resource; all its series exist from now on."""
        return ResourceMetrics(self, resource)


class ResourceMetrics:
    """How well one resource is followed; what a Reflector tells."""

    def __init__(self, metrics: DiscoveryMetrics, resource: str) -> None:
        self._now = metrics.now
        self._up = metrics.up.labels(resource)
        self._last_contact = metrics.last_contact.labels(resource)
        self._objects = metrics.objects.labels(resource)
        self._relists = {reason: metrics.relists.labels(resource, reason.value) for reason in Relist}
        self._errors = {reason: metrics.errors.labels(resource, reason.value) for reason in ErrorReason}

    def contact(self, objects: int) -> None:
        """Note that the API server said something, and how many objects are held."""
        self._last_contact.set(self._now())
        self._objects.set(objects)

    def listed(self, reason: Relist) -> None:
        """Count a whole list."""
        self._relists[reason].inc()

    def failed(self, error: ClusterError) -> None:
        """Count a failure."""
        self._errors[error_reason(error)].inc()

    def connected(self, *, up: bool) -> None:
        """Note that the resource is followed, or not."""
        self._up.set(up)
