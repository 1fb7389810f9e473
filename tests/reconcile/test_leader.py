"""Who writes: one at a time, whatever the clocks and the network do."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.reconcile.kit import Cluster
from tests.reconcile.virtual import run
from webhook.kube.errors import Conflict, Forbidden, Unreachable
from webhook.kube.resources import LEASES
from webhook.reconcile.leader import RENEW_SECONDS, RETRY_SECONDS, Election
from webhook.reconcile.lease import LEASE_SECONDS, held, holder_of, new_lease, released, seconds_of

PATH = LEASES.path("evenkeel-system", "evenkeel-reconciler")
NOON = datetime(2026, 8, 22, 12, tzinfo=UTC)


class Line:
    """One candidate's way to the API server, which can be cut or slow."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.fault: Exception | None = None
        self.hangs = False

    def __getattr__(self, name: str) -> Any:
        """Call the cluster, if the line is good."""

        async def call(*args: Any, **kwargs: Any) -> Any:
            if self.hangs:
                await asyncio.sleep(3600)
            if self.fault is not None:
                raise self.fault
            return await getattr(self._cluster, name)(*args, **kwargs)

        return call


class Candidate:
    """An election, its line, and what it has told."""

    def __init__(self, cluster: Cluster, name: str, *, now: datetime = NOON) -> None:
        self.line = Line(cluster)
        self.told: list[bool] = []
        self.election = Election(
            self.line,
            "evenkeel-reconciler",
            "evenkeel-system",
            name,
            clock=asyncio.get_running_loop().time,
            changed=self.told.append,
            now=lambda: now,
            chance=random.Random(name),  # noqa: S311
        )

    @property
    def leads(self) -> bool:
        """Say whether it may write."""
        return self.election.leads_for() > 0.0


@contextlib.asynccontextmanager
async def running(*candidates: Candidate) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Let candidates run for it; none gives the Lease back at the end."""
    tasks = [asyncio.create_task(each.election.run()) for each in candidates]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def both_ever_lead(one: Candidate, other: Candidate, seconds: float) -> bool:
    """Watch two candidates closely for a while."""
    seen = False
    for _ in range(int(seconds * 20)):
        await asyncio.sleep(0.05)
        seen = seen or (one.leads and other.leads)
    return seen


def test_one_of_two_leads_and_goes_on_leading() -> None:
    """The other waits, however long."""

    async def scene() -> None:
        cluster = Cluster()
        one, other = Candidate(cluster, "one"), Candidate(cluster, "other")
        async with running(one, other):
            both = await both_ever_lead(one, other, 200)

        assert not both
        assert sorted([one.told, other.told]) == [[], [True]]
        assert cluster.leases[PATH]["spec"]["leaseTransitions"] == 0

    run(scene())


def test_a_lease_given_back_is_taken_at_the_next_try() -> None:
    """Nobody waits for its end."""

    async def scene() -> None:
        cluster = Cluster()
        one, other = Candidate(cluster, "one"), Candidate(cluster, "other")
        async with running(one):
            await asyncio.sleep(5)
            async with running(other):
                await asyncio.sleep(5)
                await one.election.release()
                one.line.fault = Unreachable("GET", PATH, "its process has ended")
                await asyncio.sleep(RETRY_SECONDS * 1.2 + 0.1)

                assert (one.told, other.leads) == ([True, False], True)
                assert cluster.leases[PATH]["spec"]["leaseTransitions"] == 1

    run(scene())


@pytest.mark.parametrize("cut", ["fault", "hangs"])
def test_a_holder_that_is_cut_off_stops_before_another_begins(cut: str) -> None:
    """Whether its requests fail or say nothing at all."""

    async def scene() -> None:
        cluster = Cluster()
        one, other = Candidate(cluster, "one"), Candidate(cluster, "other")
        async with running(one):
            await asyncio.sleep(3)
            async with running(other):
                await asyncio.sleep(3)
                setattr(one.line, cut, Unreachable("PUT", PATH, "no connection") if cut == "fault" else True)
                both = await both_ever_lead(one, other, LEASE_SECONDS + 2 * RETRY_SECONDS)

        assert not both
        assert other.leads
        assert one.told == [True, False]

    run(scene())


def test_it_hears_of_its_end_when_the_term_ends() -> None:
    """Not at the retry after it."""

    async def scene() -> None:
        one = Candidate(Cluster(), "one")
        async with running(one):
            await asyncio.sleep(0.5)
            one.line.fault = Unreachable("PUT", PATH, "no connection")
            await asyncio.sleep(RENEW_SECONDS - 0.4)

            assert one.told == [True, False]

    run(scene())


def test_clocks_that_disagree_change_nothing() -> None:
    """A candidate whose clock is years ahead still waits until it has seen nothing change for long enough."""

    async def scene() -> None:
        cluster = Cluster()
        one = Candidate(cluster, "one")
        other = Candidate(cluster, "other", now=datetime(2036, 1, 1, tzinfo=UTC))
        async with running(one):
            await asyncio.sleep(3)
            async with running(other):
                assert not await both_ever_lead(one, other, 100)
                assert not other.leads

    run(scene())


def test_a_new_candidate_waits_a_whole_lease_for_one_that_died() -> None:
    """It cannot know how long the other has been silent."""

    async def scene() -> None:
        cluster = Cluster()
        cluster.leases[PATH] = new_lease("evenkeel-system", "evenkeel-reconciler", "dead", NOON)
        cluster.leases[PATH]["metadata"]["resourceVersion"] = "1"
        one = Candidate(cluster, "one")
        async with running(one):
            await asyncio.sleep(LEASE_SECONDS - 0.1)
            early = one.leads
            await asyncio.sleep(RETRY_SECONDS * 1.2 + 0.2)

            assert (early, one.leads) == (False, True)

    run(scene())


def test_a_renewal_whose_answer_was_lost_is_no_loss() -> None:
    """The Lease is in a version that we do not know, but ours."""

    async def scene() -> None:
        cluster = Cluster()
        one = Candidate(cluster, "one")
        async with running(one):
            await asyncio.sleep(1)
            cluster.leases[PATH]["metadata"] |= {"resourceVersion": "77", "annotations": {"a": "b"}}
            await asyncio.sleep(30)

            assert one.told == [True]
            assert cluster.leases[PATH]["metadata"]["annotations"] == {"a": "b"}

    run(scene())


def test_whose_lease_was_taken_stops_at_once() -> None:
    """Somebody wrote another holder into it."""

    async def scene() -> None:
        cluster = Cluster()
        one = Candidate(cluster, "one")
        async with running(one):
            await asyncio.sleep(1)
            cluster.leases[PATH] = held(cluster.leases[PATH], "thief", NOON)
            cluster.leases[PATH]["metadata"]["resourceVersion"] = "88"
            await asyncio.sleep(RETRY_SECONDS * 1.2 + 0.2)

            assert one.told == [True, False]

    run(scene())


def test_a_lease_that_was_deleted_is_made_anew() -> None:
    """By whoever is first."""

    async def scene() -> None:
        cluster = Cluster()
        one = Candidate(cluster, "one")
        async with running(one):
            await asyncio.sleep(1)
            del cluster.leases[PATH]
            await asyncio.sleep(5)

            assert one.leads
            assert holder_of(cluster.leases[PATH]) == "one"

    run(scene())


def test_an_empty_lease_is_free() -> None:
    """As the manifests bring it."""

    async def scene() -> None:
        cluster = Cluster()
        cluster.leases[PATH] = {"metadata": {"name": "evenkeel-reconciler", "resourceVersion": "1"}}
        one = Candidate(cluster, "one")
        await one.election.attempt()

        assert one.leads
        assert holder_of(cluster.leases[PATH]) == "one"

    run(scene())


def test_why_a_lease_cannot_be_had_is_told_once() -> None:
    """It is tried again all the same, and told again after it was good."""

    async def scene() -> None:
        one = Candidate(Cluster(), "one")
        one.line.fault = Forbidden("GET", PATH, "may not get leases; bind ClusterRole evenkeel-reconciler")
        with capture_logs() as lines:
            async with running(one):
                await asyncio.sleep(60)
                one.line.fault = None
                await asyncio.sleep(5)

        problems = [line["problem"] for line in lines if line["log_level"] == "warning"]
        assert len(problems) == 1
        assert "bind ClusterRole" in problems[0]
        assert one.leads

    run(scene())


def test_a_release_that_fails_costs_only_time() -> None:
    """The process ends all the same."""

    async def scene() -> None:
        one = Candidate(Cluster(), "one")
        await one.election.attempt()
        one.line.hangs = True
        with capture_logs() as lines:
            await one.election.release()
        one.line.hangs, one.line.fault = False, Conflict("PUT", PATH, "modified")
        await one.election.release()

        assert not one.leads
        assert lines[-1]["log_level"] == "warning"

    run(scene())


def test_a_lease_is_written_as_kubernetes_reads_it() -> None:
    """Times with microseconds in UTC, a length that may not be zero, transitions counted."""
    made = new_lease("ns", "name", "one", NOON)
    later = datetime(2026, 8, 22, 12, 0, 5, tzinfo=UTC)
    kept, taken, empty = held(made, "one", later), held(made, "other", later), released(made, later)

    assert made["spec"]["renewTime"] == "2026-08-22T12:00:00.000000Z"
    assert (kept["spec"]["acquireTime"], kept["spec"]["leaseTransitions"]) == (made["spec"]["acquireTime"], 0)
    assert (taken["spec"]["acquireTime"], taken["spec"]["leaseTransitions"]) == ("2026-08-22T12:00:05.000000Z", 1)
    assert (holder_of(empty), seconds_of(empty), seconds_of({})) == ("", 1.0, LEASE_SECONDS)
    assert holder_of({}) == ""
