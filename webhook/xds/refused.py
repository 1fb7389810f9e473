"""One line for each response that a client has refused, and never a flood of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog

from webhook.xds.identity import Identity
from webhook.xds.metrics import TYPES
from webhook.xds.session import Refused

_MOST_LINES: Final = 100
_SECONDS: Final = 60.0
_NAMES: Final = 5


class RefusedLog:
    """Writes who has refused what and why; a session tells of each refused version once."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._begun = now()
        self._lines = 0
        self._log = structlog.get_logger().bind()

    def tell(self, client: Identity, refused: Refused) -> None:
        """Log it; beyond a hundred lines a minute the metric alone counts."""
        if self._now() - self._begun >= _SECONDS:
            self._begun, self._lines = self._now(), 0
        self._lines += 1
        if self._lines == _MOST_LINES + 1:
            self._log.warning("more responses are refused; for a minute they are only counted")
        if self._lines > _MOST_LINES:
            return
        self._log.warning(
            "response refused",
            namespace=client.namespace,
            pod=client.pod,
            type=TYPES[refused.type_url],
            names=list(refused.names[:_NAMES]),
            count=len(refused.names),
            reason=refused.reason,
        )
