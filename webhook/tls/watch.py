"""A certificate from files: the loop that brings new pairs into use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from webhook.core.errors import SettingsError
from webhook.tls.bundle import utc_now
from webhook.tls.context import LiveContext
from webhook.tls.files import CertificateFiles
from webhook.tls.metrics import CertificateMetrics, HandshakeMetrics
from webhook.tls.serving import Serving


class CertificateWatch:
    """A CertificateSource that holds the pair in use and looks for a newer one.

    A refused pair is told once and looked at again each time.
    """

    def __init__(
        self,
        files: CertificateFiles,
        metrics: CertificateMetrics,
        *,
        now: Callable[[], datetime] = utc_now,
        handshakes: HandshakeMetrics | None = None,
    ) -> None:
        """Read the first pair.

        Raises SettingsError if there is none or it is broken: a path that was mistyped is then known at once, and a
        mounted Secret exists before a container starts. One that has expired is taken, and is not ready: its
        successor comes by itself, and a restart would only delay that.
        """
        self._files = files
        self._serving = Serving(metrics, now, handshakes)
        self._serving.begin(files.read())

    @property
    def live(self) -> LiveContext:
        """Give the TLS of the listener."""
        return self._serving.live

    def missing(self) -> str | None:
        """Say why the pair in use is no good, or None."""
        return self._serving.missing()

    async def start(self) -> None:
        """Do nothing: the files were read by the constructor."""

    async def run(self, seconds: float) -> None:
        """Look again and again, for as long as the process lives."""
        while True:
            await asyncio.sleep(seconds)
            self.look()

    def look(self) -> None:
        """Take what the files hold if it is new and good; keep the pair in use otherwise."""
        try:
            content = self._files.read()
        except SettingsError as error:
            self._serving.refused(str(error), error.problems)
        else:
            self._serving.offer(content)
