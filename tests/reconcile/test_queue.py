"""Whose turn it is: nothing lost, nobody twice, nearest first, and nobody left waiting for ever."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from webhook.reconcile.keep import PodKey
from webhook.reconcile.queue import Queue, Rank, Turn

KEYS = st.integers(0, 9).map(lambda number: PodKey("shop", f"front-{number}"))
PUTS = st.tuples(st.just("put"), KEYS, st.sampled_from(Rank), st.integers(0, 5))
TAKES = st.tuples(st.just("take"), KEYS, st.sampled_from(Rank), st.integers(0, 5))
DROPS = st.tuples(st.just("drop"), KEYS, st.sampled_from(Rank), st.integers(0, 5))


def turn(name: str, rank: Rank = Rank.NEAR, since: float = 0.0) -> Turn:
    """Make a turn."""
    return Turn(PodKey("shop", name), rank, since)


def order(queue: Queue, now: float = 100.0) -> list[str]:
    """Take everybody who is due."""
    names = []
    while (taken := queue.take(now)) is not None:
        names.append(taken.key.name)
    return names


@given(st.lists(PUTS | PUTS | TAKES | DROPS, max_size=60))
@settings(max_examples=200)
def test_nobody_is_lost_or_given_twice(steps: list[tuple[str, PodKey, Rank, int]]) -> None:
    """Against a set: who is in it is given once, when it is due, and never before."""
    queue, inside, due_at = Queue(), set(), {}
    for now, (step, key, rank, rest) in enumerate(steps):
        if step == "put":
            queue.put(Turn(key, rank, float(now)), now, due=now + rest)
            due_at[key] = max(now + rest, due_at[key] if key in inside else 0)
            inside.add(key)
        elif step == "drop":
            queue.drop(key)
            inside.discard(key)
        else:
            taken = queue.take(now)
            ready = {each for each in inside if due_at[each] <= now}
            assert (taken.key in ready) if taken else not ready
            inside.discard(taken.key if taken else key if taken else None)
        assert len(queue) == len(inside)
        assert all(each in queue for each in inside)
    assert sorted(order(queue, 1e9)) == sorted(key.name for key in inside)


@given(st.lists(st.tuples(st.sampled_from(Rank), st.integers(0, 3)), max_size=7))
def test_nearest_first_and_in_a_rank_who_waits_longest(places: list[tuple[Rank, int]]) -> None:
    """Seven turns, so that the eighth, which is the longest waiting one's, does not come."""
    queue = Queue()
    for number, (rank, since) in enumerate(places):
        queue.put(turn(f"front-{number}", rank, since), 10.0)
    expected = sorted(range(len(places)), key=lambda number: (*places[number], number))

    assert order(queue) == [f"front-{number}" for number in expected]


def test_a_stream_of_near_changes_does_not_starve_the_others() -> None:
    """Each eighth turn is the longest waiting one's."""
    queue = Queue()
    queue.put(turn("patient", Rank.ROUND, since=0.0), 0.0)
    given = []
    for now in range(1, 20):
        queue.put(turn(f"near-{now}", Rank.NEAR, since=now), now)
        given.append(queue.take(now).key.name)

    assert given.index("patient") == 7


def test_a_pod_that_keeps_changing_keeps_its_place() -> None:
    """It is not moved to the end each time, nor served before others who waited longer."""
    queue = Queue()
    queue.put(turn("first", since=0.0), 0.0)
    queue.put(turn("restless", since=1.0), 1.0)
    queue.put(turn("last", since=2.0), 2.0)
    for now in range(3, 50):
        queue.put(turn("restless", since=now), now)

    assert order(queue) == ["first", "restless", "last"]


def test_a_nearer_change_moves_a_pod_forward() -> None:
    """It keeps since when it waits."""
    queue = Queue()
    queue.put(turn("far", Rank.FAR, since=0.0), 0.0)
    queue.put(turn("near", Rank.NEAR, since=1.0), 1.0)
    queue.put(turn("far", Rank.NEAR, since=2.0), 2.0)

    assert order(queue) == ["far", "near"]


def test_a_change_does_not_end_a_rest() -> None:
    """Who rests after a failure is not tried at once because something else has changed."""
    queue = Queue()
    queue.put(turn("refused"), 0.0, due=60.0)
    queue.put(turn("refused", since=1.0), 1.0)

    assert queue.take(59.0) is None
    assert queue.take(60.0) == turn("refused")


def test_who_is_put_back_stands_where_it_stood() -> None:
    """After a failed attempt."""
    queue = Queue()
    queue.put(turn("old", since=0.0), 0.0)
    queue.put(turn("young", since=1.0), 1.0)
    taken = queue.take(2.0)
    assert taken is not None
    queue.put(taken, 2.0, due=3.0)

    assert order(queue, 3.0) == ["old", "young"]


def test_it_says_how_long_there_is_nothing_to_do() -> None:
    """Nothing where somebody is due, None where nobody is in it."""
    queue = Queue()
    empty = queue.wait(0.0)
    queue.put(turn("resting"), 0.0, due=5.0)
    resting = queue.wait(2.0)
    queue.put(turn("ready"), 2.0)

    assert (empty, resting, queue.wait(2.0)) == (None, 3.0, 0.0)
