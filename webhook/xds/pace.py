"""How fast one client's requests are read."""

from __future__ import annotations

from webhook.xds.limits import Limits


class Pace:
    """A bucket of tokens; a request costs one, and one more for so many bytes."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._tokens = float(limits.burst)
        self._then = now

    def wait(self, size: int, now: float) -> float:
        """Take a request of so many bytes, and say for how many seconds no other is to be read."""
        limits = self._limits
        self._tokens = min(limits.burst, self._tokens + (now - self._then) * limits.requests_per_second)
        self._then = now
        self._tokens -= 1 + size / limits.bytes_per_request
        return max(0.0, -self._tokens / limits.requests_per_second)
