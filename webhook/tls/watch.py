"""The loop that brings new pairs into use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from webhook.core.errors import SettingsError
from webhook.observe import CertificateMetrics
from webhook.tls.bundle import Bundle, parse_bundle, utc_now
from webhook.tls.context import LiveContext
from webhook.tls.files import CertificateFiles


class CertificateWatch:
    """Holds the pair in use and looks for a newer one.

    A refused pair is told once and looked at again each time: what is half written is whole a moment later,
    and what is not valid yet will be.
    """

    def __init__(
        self, files: CertificateFiles, metrics: CertificateMetrics, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        """Read the first pair.

        Raises SettingsError if there is none or it is broken: a path that was mistyped is then known at once, and a
        mounted Secret exists before a container starts. One that has expired is taken, and is not ready: its
        successor comes by itself, and a restart would only delay that.
        """
        self._files = files
        self._metrics = metrics
        self._now = now
        self._log = structlog.get_logger().bind()
        self._told: str | None = None
        self.live = LiveContext(parse_bundle(files.read()))
        self._taken(self.live.bundle)

    def missing(self) -> str | None:
        """Say why the pair in use is no good, or None."""
        return self.live.bundle.invalid(self._now())

    async def run(self, seconds: float) -> None:
        """Look again and again, for as long as the process lives."""
        while True:
            await asyncio.sleep(seconds)
            self.look()

    def look(self) -> None:
        """Take what the files hold if it is new and good; keep the pair in use otherwise."""
        digest = ""
        try:
            content = self._files.read()
            if content == self.live.bundle.content:
                self._told = None
                return
            digest = content.digest
            self._take(parse_bundle(content))
        except SettingsError as error:
            self._refused(f"{digest} {error}", error.problems)

    def _take(self, bundle: Bundle) -> None:
        problem = bundle.invalid(self._now())
        if problem and not self.missing():
            raise SettingsError([f"tls_cert: {problem}"])
        self.live.replace(bundle)
        self._told = None
        self._taken(bundle)

    def _taken(self, bundle: Bundle) -> None:
        self._metrics.loaded(bundle.not_before.timestamp(), bundle.not_after.timestamp())
        problem = bundle.invalid(self._now())
        write = self._log.warning if problem else self._log.info
        write("certificate loaded", expires=bundle.not_after.isoformat(), names=bundle.names, problem=problem)

    def _refused(self, what: str, problems: tuple[str, ...]) -> None:
        if what == self._told:
            return
        self._told = what
        self._metrics.refused()
        self._log.error("certificate refused, the old one stays in use", problems=problems)
