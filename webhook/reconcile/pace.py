"""How fast: a bucket of tokens, and how long to wait after a failure."""

from __future__ import annotations

import random
from typing import Final

BURST: Final = 5
"""So many may go at once after a pause: one Deployment's few replicas need not queue."""
_ROUNDING: Final = 1e-6
_FACTOR: Final = 2.0
_MOST_DOUBLINGS: Final = 16


class Bucket:
    """Lets a number of things happen a second, few of them at once. Times are the caller's."""

    def __init__(self, rate: float, now: float, *, burst: int = BURST) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._tokens = self._burst
        self._at = now
        self._closed_until = now

    def wait(self, now: float) -> float:
        """Say in how many seconds the next may happen; 0 is now."""
        self._fill(now)
        missing = 1.0 - self._tokens
        # A sum of many fractions comes a little short of the whole: waiting for that would be no wait at all.
        return max(missing / self._rate if missing > _ROUNDING else 0.0, self._closed_until - now, 0.0)

    def take(self, now: float) -> None:
        """Note that one happens now."""
        self._fill(now)
        self._tokens -= 1.0

    def close(self, until: float) -> None:
        """Let nothing happen before a time: the other side asked for a pause, or does not answer."""
        self._closed_until = max(self._closed_until, until)

    def closed(self, now: float) -> bool:
        """Say whether it is closed."""
        return now < self._closed_until

    def _fill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now


def backoff(failures: int, *, first: float, most: float, chance: random.Random) -> float:
    """Give how long to wait after so many failures in a row: doubled each time, and never the same for two."""
    longest = min(most, first * _FACTOR ** min(failures - 1, _MOST_DOUBLINGS))
    return longest * (0.5 + chance.random() / 2)
