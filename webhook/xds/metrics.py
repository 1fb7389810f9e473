"""What the control plane that pushes tells of itself; labels come from enums and types, never from clients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from webhook.xds.source import CDS, EDS, LDS, RDS


class Variant(StrEnum):
    """How a client is told of changes."""

    SOTW = "state-of-the-world"
    DELTA = "delta"


class TurnedAway(StrEnum):
    """Why a client got no stream."""

    AUTHENTICATION = "authentication"
    TIMEOUT = "authentication-timeout"
    TOO_MANY = "too-many-streams"
    ENDING = "ending"


class Ending(StrEnum):
    """Why a stream has ended."""

    CLIENT = "client"
    LIFETIME = "lifetime"
    SHUTDOWN = "shutdown"
    MALFORMED = "malformed"
    TOO_MUCH = "too-much"
    BUG = "bug"


TYPES: Final = {LDS: "lds", RDS: "rds", CDS: "cds", EDS: "eds"}
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class XdsMetrics:
    """Every metric of the server and its streams."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, about: str, label: str, values: Sequence[str]) -> Counter:
            made = Counter(f"evenkeel_xds_{name}", about, [label], registry=registry)
            for value in values:
                made.labels(value)
            return made

        types = list(TYPES.values())
        self._streams = Gauge("evenkeel_xds_streams", "Connected streams.", ["variant"], registry=registry)
        self._slow = Gauge(
            "evenkeel_xds_slow_streams", "Streams that have a response unread or unanswered.", registry=registry
        )
        self._pushes = counter("responses", "Responses written, by type.", "type", types)
        self._nacks = counter("nacks", "Responses that a client has refused, by type.", "type", types)
        self._away = counter("turned_away", "Streams refused, by reason.", "reason", list(TurnedAway))
        self._ended = counter("streams_ended", "Streams that have ended, by reason.", "reason", list(Ending))
        self._push = Histogram(
            "evenkeel_xds_change_to_push_seconds",
            "From a change seen of the cluster until a client that is concerned was written to.",
            registry=registry,
            buckets=_BUCKETS,
        )
        for variant in Variant:
            self._streams.labels(variant.value)

    def follow(self, slow: Callable[[], int]) -> None:
        """Take who knows how many streams are slow now."""
        self._slow.set_function(slow)

    def begun(self, variant: Variant) -> None:
        """Count a stream in."""
        self._streams.labels(variant.value).inc()

    def ended(self, variant: Variant, why: Ending) -> None:
        """Count a stream out."""
        self._streams.labels(variant.value).dec()
        self._ended.labels(why.value).inc()

    def turned_away(self, why: TurnedAway) -> None:
        """Count a client that got no stream."""
        self._away.labels(why.value).inc()

    def pushed(self, type_url: str, seconds: float | None) -> None:
        """Count a response, and how long after the change it was written, if one was the cause."""
        self._pushes.labels(TYPES[type_url]).inc()
        if seconds is not None:
            self._push.observe(seconds)

    def refused(self, type_url: str) -> None:
        """Count a response that a client has refused."""
        self._nacks.labels(TYPES[type_url]).inc()
