"""Pace, settling, progress, rounds, memory of what was undone, the table of Pods: each by its own clock."""

from __future__ import annotations

import random
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reconcile.kit import NOTHING, ORDERS, live_pod
from webhook.reconcile.keep import PodKey
from webhook.reconcile.pace import BURST, Bucket, backoff
from webhook.reconcile.pods import Pods
from webhook.reconcile.progress import Progress
from webhook.reconcile.queue import Rank
from webhook.reconcile.rounds import Rounds
from webhook.reconcile.settle import Settling
from webhook.reconcile.undone import Undone

A, B, C = (PodKey("shop", name) for name in "abc")
CHANCE = random.Random(1)  # noqa: S311


# Pace.


@given(st.lists(st.floats(0, 3), max_size=60))
def test_never_more_than_the_rate_and_a_burst(pauses: list[float]) -> None:
    """Whenever one comes, over the whole time."""
    bucket, now, taken = Bucket(10.0, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        if bucket.wait(now) == 0.0:
            bucket.take(now)
            taken += 1

    assert taken <= BURST + 10.0 * now + 1e-3


def test_after_the_burst_each_waits_its_turn() -> None:
    """A tenth of a second at ten a second."""
    bucket = Bucket(10.0, 0.0)
    for _ in range(BURST):
        bucket.take(0.0)

    assert bucket.wait(0.0) == pytest.approx(0.1)
    assert bucket.wait(0.1) == 0.0


def test_a_closed_bucket_gives_nothing_and_the_longer_pause_counts() -> None:
    """The API server asked for one, and then for a shorter one."""
    bucket = Bucket(10.0, 0.0)
    bucket.close(5.0)
    bucket.close(3.0)

    assert (bucket.wait(1.0), bucket.closed(4.9), bucket.wait(5.0), bucket.closed(5.0)) == (4.0, True, 0.0, False)


def test_waits_double_up_to_the_most_and_are_never_the_same() -> None:
    """Between half and the whole of it."""
    waits = [backoff(failures, first=1.0, most=10.0, chance=CHANCE) for failures in (1, 2, 3, 4, 5, 500)]

    assert all(most / 2 <= wait <= most for wait, most in zip(waits, (1.0, 2.0, 4.0, 8.0, 10.0, 10.0), strict=True))
    assert len(set(waits)) == len(waits)


# Settling.


def test_a_namespace_is_taken_up_when_it_is_quiet() -> None:
    """Changes that follow each other closely are one storm, with the nearest rank and the first time."""
    settling = Settling(0.25)
    settling.changed("shop", Rank.FAR, 0.0)
    settling.changed("shop", Rank.NEAR, 0.2)
    early = settling.due(0.4)
    (storm,) = settling.due(0.45)

    assert early == []
    assert (storm.namespace, storm.rank, storm.first) == ("shop", Rank.NEAR, 0.0)
    assert settling.due(9.0) == []


def test_a_namespace_that_never_is_quiet_is_taken_up_all_the_same() -> None:
    """Two seconds after its first change."""
    settling = Settling(0.25)
    taken = []
    for step in range(30):
        settling.changed("shop", Rank.NEAR, step / 10)
        taken += [(step / 10, storm.first) for storm in settling.due(step / 10)]

    assert taken == [(2.0, 0.0)]


def test_a_busy_namespace_does_not_hold_up_a_quiet_one() -> None:
    """Each settles on its own; near ones come first."""
    settling = Settling(0.25)
    settling.changed("busy", Rank.NEAR, 0.0)
    settling.changed("far", Rank.FAR, 0.0)
    settling.changed("near", Rank.NEAR, 0.0)
    settling.changed("busy", Rank.NEAR, 0.2)

    assert settling.wait(0.2) == pytest.approx(0.05)
    assert [storm.namespace for storm in settling.due(0.25)] == ["near", "far"]
    assert Settling(0.25).wait(0.0) is None


# Progress.


def test_a_change_is_done_with_its_last_pod() -> None:
    """The time counts from when it was seen to the last patch."""
    told: list[tuple[float, int]] = []
    progress = Progress(lambda seconds, pods: told.append((seconds, pods)))
    progress.begin(10.0, [A, B, C])
    progress.done(A, progress.of(A), patched_at=11.0)
    progress.done(B, progress.of(B), patched_at=13.0)
    before = list(told)
    progress.gone(C)

    assert (before, told) == ([], [(3.0, 2)])


def test_a_change_that_nobody_needed_a_patch_for_tells_nothing() -> None:
    """There is no last Pod."""
    told: list[object] = []
    progress = Progress(lambda *what: told.append(what))
    progress.begin(1.0, [A])
    progress.begin(1.0, [])
    progress.gone(A)

    assert told == []


def test_a_patch_that_was_sent_before_a_change_does_not_finish_it() -> None:
    """It was made from what was known before."""
    told: list[float] = []
    progress = Progress(lambda seconds, _pods: told.append(seconds))
    progress.begin(1.0, [A])
    sent_for = progress.of(A)
    progress.begin(2.0, [A])
    progress.done(A, sent_for, patched_at=3.0)
    first = list(told)
    progress.done(A, progress.of(A), patched_at=5.0)

    assert (first, told) == ([2.0], [2.0, 3.0])


# Rounds.


@pytest.mark.parametrize("pods", [0, 1, 7, 1000])
def test_everybody_is_looked_at_once_a_round_and_spread_out(pods: int) -> None:
    """The first round begins a period after the start."""
    everybody = [PodKey("shop", str(number)) for number in range(pods)]
    rounds = Rounds(0.0, period=600.0)
    by_second = [rounds.due(everybody, float(second)) for second in range(1201)]

    assert list(chain(*by_second[:600])) == []
    assert sorted(chain(*by_second[600:])) == sorted(everybody)
    assert max(map(len, by_second)) <= pods // 600 + 1


# What was undone.


def test_the_same_is_written_again_ever_more_rarely() -> None:
    """Somebody takes it back each time."""
    undone, now, rests = Undone(), 0.0, []
    for _ in range(12):
        undone.wrote(A, "uid", "mark", now)
        until = undone.rest_until(A, "uid", "mark")
        rests.append(until - now)
        now = until

    assert rests[:4] == [1.0, 2.0, 4.0, 8.0]
    assert rests[-1] == 300.0


def test_another_text_or_another_pod_needs_no_rest() -> None:
    """Services change, and Pods are replaced by others of their name."""
    undone = Undone()
    undone.wrote(A, "uid", "mark", 5.0)

    assert undone.rest_until(A, "uid", "other") == 0.0
    assert undone.rest_until(A, "other", "mark") == 0.0
    undone.forget(A)
    assert undone.rest_until(A, "uid", "mark") == 0.0


# Pods.


def test_what_is_older_than_what_is_known_is_passed_over() -> None:
    """An event from before our patch comes after the patch's answer."""
    pods, old, new = Pods(), live_pod(catalog=NOTHING, version=5), live_pod(catalog=ORDERS, version=6)
    seen = [pods.put(old), pods.put(new), pods.put(old), pods.put(new)]

    assert seen == [True, True, False, False]
    assert pods.get(new.key) == new


def test_a_successor_of_the_same_name_replaces_and_is_not_deleted_for_the_other() -> None:
    """Versions of two objects say nothing about each other; a late deletion is the predecessor's."""
    pods, one, other = Pods(), live_pod(uid="one", version=9), live_pod(uid="other", version=2)
    pods.put(one)
    replaced = pods.put(other)

    assert replaced
    assert not pods.remove(one)
    assert pods.get(one.key) == other
    assert pods.remove(other)
    assert (len(pods), list(pods), pods.namespaces()) == (0, [], ())


def test_pods_are_found_by_namespace() -> None:
    """In order of their names."""
    pods = Pods()
    for name, namespace in (("b", "shop"), ("c", "bank"), ("a", "shop")):
        pods.put(live_pod(name, namespace=namespace))

    assert pods.of("shop") == [A, B]
    assert sorted(pods.namespaces()) == ["bank", "shop"]
    assert pods.of("nowhere") == []
    assert (len(pods), sorted(pods)) == (3, [PodKey("bank", "c"), A, B])
