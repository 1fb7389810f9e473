"""The pair in use, and how another comes into use: looked at, tried, counted and told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import structlog

from webhook.core.errors import SettingsError
from webhook.tls.bundle import Bundle, Content, parse_bundle
from webhook.tls.context import LiveContext
from webhook.tls.metrics import CertificateMetrics, HandshakeMetrics


class CertificateSource(Protocol):
    """Where a serving certificate comes from: webhook.tls.watch (files) or webhook.tls.managed (our own CA)."""

    @property
    def live(self) -> LiveContext:
        """Give the TLS of the listener; there is one once `start` has returned."""

    def missing(self) -> str | None:
        """Say why there is no good certificate in use, or None."""

    async def start(self) -> None:
        """Get the first certificate; before a port is bound.

        Raises SettingsError or ClusterError where somebody has to mend something first.
        """

    async def run(self, seconds: float) -> None:
        """Look for newer ones every so often, for as long as the process lives."""


class Serving:
    """Holds the pair in use.

    A pair that is no good is refused, told once, and may be offered again: what is half written is whole a moment
    later, and what is not valid yet will be.
    """

    def __init__(
        self,
        metrics: CertificateMetrics,
        now: Callable[[], datetime],
        handshakes: HandshakeMetrics | None = None,
    ) -> None:
        self._metrics = metrics
        self._now = now
        self._handshakes = handshakes
        self._log = structlog.get_logger().bind()
        self._told: str | None = None
        self._live: LiveContext | None = None

    @property
    def live(self) -> LiveContext:
        """Give the listener's TLS."""
        if self._live is None:
            raise RuntimeError("there is no certificate before `start` has returned")
        return self._live

    @property
    def bundle(self) -> Bundle | None:
        """Give the pair in use, if there is one."""
        return self._live.bundle if self._live else None

    def missing(self) -> str | None:
        """Say why the pair in use is no good now, or None."""
        return self._live.bundle.invalid(self._now()) if self._live else "no certificate has been obtained yet"

    def begin(self, content: Content) -> None:
        """Take the first pair; raises SettingsError if it is broken.

        One that has expired is taken, and is not ready: its successor comes by itself.
        """
        self._live = LiveContext(parse_bundle(content), self._handshakes)
        self._taken(self._live.bundle)

    def offer(self, content: Content) -> None:
        """Take a pair if it is new and good; keep the one in use otherwise."""
        if self._live is None:
            self.begin(content)
        elif content == self._live.bundle.content:
            self._told = None
        else:
            self._try(self._live, content)

    def refused(self, what: str, problems: tuple[str, ...]) -> None:
        """Tell once why there is nothing new."""
        if what == self._told:
            return
        self._told = what
        self._metrics.refused()
        self._log.error("certificate refused, the old one stays in use", problems=problems)

    def _try(self, live: LiveContext, content: Content) -> None:
        try:
            bundle = self._better(content)
            live.replace(bundle)
        except SettingsError as error:
            self.refused(f"{content.digest} {error}", error.problems)
            return
        self._told = None
        self._taken(bundle)

    def _better(self, content: Content) -> Bundle:
        bundle = parse_bundle(content)
        problem = bundle.invalid(self._now())
        if problem and not self.missing():
            raise SettingsError([f"tls_cert: {problem}"])
        return bundle

    def _taken(self, bundle: Bundle) -> None:
        self._metrics.loaded(bundle.not_before.timestamp(), bundle.not_after.timestamp())
        problem = bundle.invalid(self._now())
        write = self._log.warning if problem else self._log.info
        write("certificate loaded", expires=bundle.not_after.isoformat(), names=bundle.names, problem=problem)
