"""One call that gets through wakes all who wait."""

from __future__ import annotations

import asyncio

from webhook.kube.pace import Backoff, Pace
from webhook.kube.presence import Presence


async def woken(presence: Presence, waiting: asyncio.Task[None]) -> bool:
    """Say whether an answer now wakes a waiter."""
    await asyncio.sleep(0)
    presence.answered()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    done = waiting.done()
    waiting.cancel()
    return done


async def test_an_answer_after_a_loss_wakes_everybody() -> None:
    """Once: who begins to wait afterwards waits for the next time."""
    presence = Presence()
    presence.lost()
    waiting = [asyncio.create_task(presence.back()) for _ in range(3)]
    await asyncio.sleep(0)
    presence.answered()
    await asyncio.gather(*waiting)

    assert not await woken(presence, asyncio.create_task(presence.back()))


async def test_an_answer_like_all_others_wakes_nobody() -> None:
    """Nothing was lost."""
    presence = Presence()

    assert not await woken(presence, asyncio.create_task(presence.back()))


async def test_a_wait_ends_when_somebody_gets_through() -> None:
    """After a little, by the dice, so that not all come at one moment; without news it lasts as long as it does."""
    slept: list[float] = []
    presence, long = Presence(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if seconds == 7.0:
            await long.wait()

    backoff = Backoff(Pace(sleep=sleep, dice=lambda: 0.25))
    waiting = asyncio.create_task(backoff.wait(7.0, sooner=presence.back))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    presence.lost()
    presence.answered()
    await waiting
    long.set()
    await backoff.wait(7.0, sooner=presence.back)

    assert slept == [7.0, 0.25, 7.0]
