"""Clients that are not served: told why, counted by reason, and logged once each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter

from webhook.kube.errors import shorten
from webhook.xds.reviews import Refusal

_AGAIN_SECONDS: Final = 3600.0
_MOST_LINES: Final = 1000
"""In an hour: who is refused chooses the name that it is told by."""


class AuthenticationMetrics:
    """What became of clients that came; labels from enums, never from clients."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._results = Counter(
            "evenkeel_xds_authentications", "Clients that came, by what became of them.", ["result"], registry=registry
        )
        self._reviews = Counter(
            "evenkeel_xds_token_reviews", "Tokens shown to the API server, by its answer.", ["result"], registry=registry
        )
        self._on_trust = Counter(
            "evenkeel_xds_tokens_believed_unreviewed",
            "Clients served on an earlier review of their token, since the API server did not answer.",
            registry=registry,
        )
        for result in ("admitted", "unauthenticated", *(one.value for one in Refusal)):
            self._results.labels(result)
        for result in ("believed", "refused", "failed"):
            self._reviews.labels(result)

    def admitted(self, *, proved: bool) -> None:
        """Count a client that is served, with a token or where the operator asks for none."""
        self._results.labels("admitted" if proved else "unauthenticated").inc()

    def refused(self, refusal: Refusal) -> None:
        """Count a client that is not."""
        self._results.labels(refusal.value).inc()

    def reviewed(self, *, believed: bool) -> None:
        """Count an answer of the API server."""
        self._reviews.labels("believed" if believed else "refused").inc()

    def unreviewed(self) -> None:
        """Count a question without an answer."""
        self._reviews.labels("failed").inc()

    def believed_unreviewed(self) -> None:
        """Count a client that is believed on an earlier review."""
        self._on_trust.inc()


class RefusalLog:
    """Writes one line for each client and reason in an hour, and never more than a thousand."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._told: set[tuple[str, Refusal]] = set()
        self._begun = now()
        self._log = structlog.get_logger().bind()

    def tell(self, client: str, refusal: Refusal, sentence: str) -> None:
        """Log a refusal that was not logged before."""
        if self._now() - self._begun >= _AGAIN_SECONDS:
            self._told.clear()
            self._begun = self._now()
        one = (shorten(client), refusal)
        if one in self._told or len(self._told) > _MOST_LINES:
            return
        self._told.add(one)
        if len(self._told) > _MOST_LINES:
            self._log.warning("more clients are refused; for an hour they are only counted")
        else:
            self._log.warning("client refused", client=one[0], reason=refusal.value, problem=sentence)
