"""Clients that are not let in: told why, counted by reason, and logged once each."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import grpc
import structlog
from prometheus_client import CollectorRegistry, Counter

from webhook.kube.errors import shorten
from webhook.xds.client import NotServed

_AGAIN_SECONDS: Final = 3600.0
_MOST_LINES: Final = 1000
"""In an hour: who is refused chooses the name that it is told by."""


class Refusal(StrEnum):
    """Why a client is not let in; a label of a metric."""

    MISSING = "missing"
    MALFORMED = "malformed"
    AUDIENCE = "wrong-audience"
    EXPIRED = "expired"
    NOT_A_POD = "not-a-pod"
    NOT_BELIEVED = "not-believed"
    UNAVAILABLE = "unavailable"
    """The API server does not answer, and nobody else can say who it is."""


class Refused(NotServed):
    """A client is not let in."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        again = refusal is Refusal.UNAVAILABLE
        super().__init__(grpc.StatusCode.UNAVAILABLE if again else grpc.StatusCode.UNAUTHENTICATED, message)
        self.refusal = refusal


class Refusals:
    """Counts clients by what became of them, and writes one line an hour for each that is refused and why."""

    def __init__(self, registry: CollectorRegistry, now: Callable[[], float] = time.monotonic) -> None:
        self._results = Counter(
            "evenkeel_xds_authentications", "Clients that came, by what became of them.", ["result"], registry=registry
        )
        for result in ("admitted", "unauthenticated", *(one.value for one in Refusal)):
            self._results.labels(result)
        self._now = now
        self._told: set[tuple[str, Refusal]] = set()
        self._begun = now()
        self._log = structlog.get_logger().bind()

    def admitted(self, *, proved: bool) -> None:
        """Count a client that is let in, with a token or where the operator asks for none."""
        self._results.labels("admitted" if proved else "unauthenticated").inc()

    def refused(self, client: str, refused: Refused) -> None:
        """Count a client that is not, and log it unless that was done."""
        self._results.labels(refused.refusal.value).inc()
        if self._now() - self._begun >= _AGAIN_SECONDS:
            self._told.clear()
            self._begun = self._now()
        one = (shorten(client), refused.refusal)
        if one in self._told or len(self._told) > _MOST_LINES:
            return
        self._told.add(one)
        if len(self._told) > _MOST_LINES:
            self._log.warning("more clients are refused; for an hour they are only counted")
        else:
            self._log.warning("client refused", client=one[0], reason=one[1].value, problem=str(refused))
