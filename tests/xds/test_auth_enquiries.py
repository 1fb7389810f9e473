"""Questions to the API server: few at a time, each once, and none while it is known to be away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.kube.kit import running, until
from webhook.kube.errors import ClusterError, Unreachable
from webhook.xds.enquiries import Enquiries


class Oracle:
    """Answers with what it was asked, when it may."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.open = asyncio.Event()
        self.failure: ClusterError | None = None
        self.now = 100.0

    async def __call__(self, question: str) -> str:
        """Answer in capitals."""
        self.asked.append(question)
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        return question.upper()

    def enquiries(self, at_once: int = 2) -> Enquiries[str, str, str]:
        """Make enquiries that are answered here."""
        return Enquiries(self, at_once=at_once, clock=lambda: self.now)


def away(retry_after: float | None = None) -> Unreachable:
    """Make the error of an API server that does not answer."""
    return Unreachable("GET", "/x", "gone", retry_after=retry_after)


async def test_who_asks_the_same_shares_one_question() -> None:
    """A Pod with fifty channels is one token."""
    oracle = Oracle()
    one = oracle.enquiries()
    async with running(one.run()):
        waiting = [asyncio.create_task(one.answer("a", "a", 10)) for _ in range(50)]
        await until(lambda: oracle.asked)
        oracle.open.set()

        assert set(await asyncio.gather(*waiting)) == {"A"}
    assert oracle.asked == ["a"]
    assert one.waiting == 0


async def test_never_more_than_so_many_are_asked_at_a_time() -> None:
    """A thousand of them are asked all the same, one after the other."""
    oracle = Oracle()
    one = oracle.enquiries(at_once=3)
    async with running(one.run()):
        waiting = [asyncio.create_task(one.answer(str(n), str(n), 10)) for n in range(1000)]
        await until(lambda: one.waiting == 1000)
        under_way = len(oracle.asked)
        oracle.open.set()
        await asyncio.gather(*waiting)

    assert under_way == 3
    assert len(oracle.asked) == 1000


async def test_who_gives_up_takes_nothing_from_the_others() -> None:
    """Nor does one whose call was cancelled because its client has gone."""
    oracle = Oracle()
    one = oracle.enquiries()
    async with running(one.run()):
        patient = asyncio.create_task(one.answer("a", "a", 10))
        leaver = asyncio.create_task(one.answer("a", "a", 10))
        await until(lambda: oracle.asked)
        leaver.cancel()
        with pytest.raises(TimeoutError):
            await one.answer("a", "a", 0.001)
        oracle.open.set()

        assert await patient == "A"


async def test_all_who_wait_hear_of_a_failure_and_the_queue_is_not_worked_off_against_a_dead_server() -> None:
    """Each would wait for a time-out of its own."""
    oracle = Oracle()
    oracle.failure = away()
    oracle.open.set()
    one = oracle.enquiries(at_once=1)
    async with running(one.run()):
        found = await asyncio.gather(*(one.answer(str(n), str(n), 10) for n in range(500)), return_exceptions=True)

    assert {type(each) for each in found} == {Unreachable}
    assert oracle.asked == ["0"]


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(None, 1.0), (0.2, 1.0), (5.0, 5.0), (120.0, 10.0)],
    ids=["own", "less", "more", "most"],
)
async def test_after_a_pause_it_is_asked_again(retry_after: float | None, seconds: float) -> None:
    """As long as the API server asks for, within bounds."""
    oracle = Oracle()
    oracle.failure = away(retry_after)
    oracle.open.set()
    one = oracle.enquiries(at_once=1)

    async def fails() -> None:
        with pytest.raises(Unreachable):
            await one.answer("a", "a", 10)

    async with running(one.run()):
        await fails()
        oracle.failure = None
        oracle.now += seconds - 0.01
        await fails()
        oracle.now += 0.02

        assert await one.answer("a", "a", 10) == "A"
    assert len(oracle.asked) == 2
    assert one.failure is None


async def test_a_failure_nobody_waits_for_any_more_is_no_bug(recwarn: pytest.WarningsRecorder) -> None:
    """The event loop would complain of an exception that nobody has seen."""
    oracle = Oracle()
    oracle.failure = away()
    one = oracle.enquiries()
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    async with running(one.run()):
        with pytest.raises(TimeoutError):
            await one.answer("a", "a", 0.001)
        oracle.open.set()
        await until(_none_waits(one))

    assert told == []


def _none_waits(one: Enquiries[str, str, str]) -> Callable[[], bool]:
    return lambda: one.waiting == 0
