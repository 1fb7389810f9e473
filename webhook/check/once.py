"""What is asked of the cluster is asked once: the answer is kept, and so is that there was none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

from webhook.check.model import NotAllowed, Unknown
from webhook.kube.errors import ClusterError, Forbidden

_Answer = TypeVar("_Answer")


class Once:
    """Remembers answers by key. Its owner asks one question after the other."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, object] = {}
        self._failures: dict[Hashable, Exception] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Give the answer to a question; what it raised the first time, it raises again.

        Raises Unknown for what may not be looked at or did not come in time.
        """
        if key in self._failures:
            raise self._failures[key]
        if key not in self._answers:
            try:
                self._answers[key] = await ask()
            except Forbidden as error:
                self._failures[key] = NotAllowed(str(error))
                raise self._failures[key] from error
            except (ClusterError, Unknown) as error:
                self._failures[key] = error
                raise
            except asyncio.CancelledError:
                # Its time was up; the next check shall not wait as long for the same thing.
                self._failures[key] = Unknown("it could not be read in time")
                raise
        return self._answers[key]  # type: ignore[return-value]
