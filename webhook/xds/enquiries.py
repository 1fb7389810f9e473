"""Questions to the API server that many clients may raise at once: few are asked at a time, and each but once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

from webhook.kube.errors import ClusterError

_PAUSE_SECONDS: Final = 1.0
"""After a failure nobody asks for so long: whoever waits in the queue gets the same failure, at once."""
_LONGEST_PAUSE: Final = 10.0
"""Whatever an API server that is overrun asks for: it may be another one, behind the same address, a moment later."""

_Key = TypeVar("_Key", bound=Hashable)
_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")


class Enquiries(Generic[_Key, _Question, _Answer]):
    """A thousand clients that come back in one second become a queue, not a thousand requests.

    Who gives up waiting does not end the question: others may wait for the same answer.
    """

    def __init__(
        self,
        ask: Callable[[_Question], Awaitable[_Answer]],
        *,
        at_once: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._at_once = at_once
        self._clock = clock
        self._waiting: dict[_Key, asyncio.Future[_Answer]] = {}
        self._queue: asyncio.Queue[tuple[_Key, _Question]] = asyncio.Queue()
        self._failure: ClusterError | None = None
        self._again = 0.0

    @property
    def failure(self) -> ClusterError | None:
        """Give why the last question failed; None after one that did not."""
        return self._failure

    @property
    def waiting(self) -> int:
        """Say how many questions have no answer yet."""
        return len(self._waiting)

    async def answer(self, key: _Key, question: _Question, seconds: float) -> _Answer:
        """Wait for the answer; raises a ClusterError, or TimeoutError where it takes longer."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
            self._queue.put_nowait((key, question))
        async with asyncio.timeout(seconds):
            return await asyncio.shield(future)

    async def run(self) -> None:
        """Ask what is in the queue, for ever; without it nothing is answered."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._at_once):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key, question = await self._queue.get()
            try:
                answer = await self._asked(question)
            except ClusterError as error:
                future = self._waiting.pop(key)
                future.set_exception(error)
                future.exception()  # perhaps nobody waits any more, and that is no bug
            else:
                self._waiting.pop(key).set_result(answer)

    async def _asked(self, question: _Question) -> _Answer:
        if self._failure is not None and self._clock() < self._again:
            raise self._failure.with_traceback(None)
        try:
            answer = await self._ask(question)
        except ClusterError as error:
            self._failure = error
            pause = max(_PAUSE_SECONDS, error.retry_after or 0.0)
            self._again = self._clock() + min(pause, _LONGEST_PAUSE)
            raise
        self._failure = None
        return answer
