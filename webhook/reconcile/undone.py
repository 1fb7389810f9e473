"""What to do about somebody who takes back what we write: write it again, but ever more rarely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from webhook.reconcile.keep import PodKey

_FIRST: Final = 1.0
_MOST: Final = 300.0


@dataclass(slots=True)
class _Written:
    uid: str
    mark: str
    times: int
    at: float


class Undone:
    """Remembers what was last written to each Pod; the same again means that it was undone."""

    def __init__(self) -> None:
        self._written: dict[PodKey, _Written] = {}

    def wrote(self, key: PodKey, uid: str, mark: str, now: float) -> None:
        """Note what was written to a Pod."""
        times = self.times(key, uid, mark)
        self._written[key] = _Written(uid, mark, times + 1, now)

    def times(self, key: PodKey, uid: str, mark: str) -> int:
        """Say how often the same was written to the same Pod, with nothing else between."""
        last = self._written.get(key)
        return last.times if last is not None and (last.uid, last.mark) == (uid, mark) else 0

    def rest_until(self, key: PodKey, uid: str, mark: str) -> float:
        """Say before when the same is not to be written again."""
        times = self.times(key, uid, mark)
        return self._written[key].at + min(_MOST, _FIRST * 2.0 ** min(times - 1, 16)) if times else 0.0

    def forget(self, key: PodKey) -> None:
        """Forget a Pod."""
        self._written.pop(key, None)
