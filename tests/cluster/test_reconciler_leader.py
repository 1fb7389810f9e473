"""Two reconcilers: one writes. It is killed, told to go, or both are away, and no change is lost."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import pytest_asyncio

from tests.cluster.kit import fleet
from tests.cluster.kit.install import NAMESPACE, RECONCILER, Installed, until
from tests.cluster.kit.outage import signalled
from tests.cluster.kit.rest import Json
from tests.cluster.kit.world import World
from webhook.core import names
from webhook.core.names import DEFAULT_UPSTREAM

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

SHOP = "leader"
SERVICE = f"/api/v1/namespaces/{SHOP}/services/echo"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(world, evenkeel) -> Installed:
    """Have two injected callers and a server."""
    await world.namespace(SHOP, {names.INJECT: names.ENABLED}, run=True)
    callers = fleet.caller(replicas=2, annotations={DEFAULT_UPSTREAM: "echo"})
    await world.apply([fleet.service(), fleet.servers(replicas=1), callers], namespace=SHOP)
    for name in ("echo", "caller"):
        await world.available(SHOP, name)
    await fleet.balanced(world, SHOP)
    return evenkeel


async def test_a_leader_that_is_killed_is_succeeded_and_nothing_is_lost(world, shop) -> None:
    """By SIGKILL, under changes: the other waits for the Lease's end, then writes what is missing."""
    await world.available(NAMESPACE, RECONCILER)
    before = await _holder(world)
    async with _holders(world) as holders, _changes(world) as changes:
        # A deletion alone would leave it a moment to give the Lease back.
        leader = [pod for pod in world.kubelet.running(NAMESPACE) if pod.name.endswith(_pod_of(before))]
        assert signalled(leader, signal.SIGKILL)
        await _delete(world, _pod_of(before), grace=0)
        await until(lambda: _another(world, before), "another leader")
    await _all_carry(world, changes)

    assert "" not in holders
    assert _pod_of(await _holder(world)) != _pod_of(before)
    await _up_to_date(shop)


async def test_a_leader_that_is_told_to_go_hands_over(world, shop) -> None:
    """By SIGTERM, under changes: it gives the Lease back, so that nobody waits for its end."""
    await world.available(NAMESPACE, RECONCILER)
    before = await _holder(world)
    async with _holders(world) as holders, _changes(world) as changes:
        await _delete(world, _pod_of(before), grace=30)
        await until(lambda: _another(world, before), "another leader")
    await _all_carry(world, changes)

    after = await _holder(world)
    assert [*dict.fromkeys(holders)] == [before, "", after]
    await _up_to_date(shop)


async def test_without_reconcilers_pods_serve_and_are_brought_up_to_date_later(world, shop) -> None:
    """New Pods are right meanwhile: those are the webhook's."""
    try:
        await shop.scale(RECONCILER, 0)
        stale = await _carried(world)
        async with fleet.callers(world, SHOP).load("alone", rate=50) as tally:
            await world.rest.patch(SERVICE, {"metadata": {"annotations": {names.MAX_TIMEOUT: "55s"}}})
            fresh = await until(lambda: _new_pod_has(shop, "55s"), "the change in a new Pod")
            await world.rest.patch(SERVICE, {"metadata": {"annotations": {names.LB_POLICY: "least_request"}}})
            await until(lambda: _new_pod_has(shop, "LEAST_REQUEST"), "the second one too")
            alone = await _carried(world)
    finally:
        await shop.scale(RECONCILER, 2)
    await _all_carry(world, "55s")
    await _up_to_date(shop)

    assert alone == stale
    assert "55s" in fresh["metadata"]["annotations"][names.ROUTES]
    assert all("LEAST_REQUEST" in one[names.CLUSTERS] for one in await _carried(world))
    assert (tally.failed, dict(tally.errors)) == (0, {})
    assert tally.rpcs > 0


@asynccontextmanager
async def _changes(world: World) -> AsyncIterator[str]:
    """Change the Service again and again; in the end once more, to the text that is given."""
    last = "999s"

    async def change() -> None:
        for seconds in itertools.count(100):
            await _change(world, f"{seconds}s")
            await asyncio.sleep(0.5)

    changing = asyncio.create_task(change())
    try:
        yield last
    finally:
        changing.cancel()
        with suppress(asyncio.CancelledError):
            await changing
        await _change(world, last)


async def _change(world: World, longest: str) -> None:
    await world.rest.patch(SERVICE, {"metadata": {"annotations": {names.MAX_TIMEOUT: longest}}})


@asynccontextmanager
async def _holders(world: World) -> AsyncIterator[list[str]]:
    """Note who holds the Lease, from record to record."""
    listed = await world.rest.get(LEASES)
    found = [_held_by(lease) for lease in listed["items"]]

    async def follow() -> None:
        events = world.rest.watch(LEASES, resourceVersion=listed["metadata"]["resourceVersion"])
        async for event in events:
            found.append(_held_by(event["object"]))  # noqa: PERF401  # read while it grows

    following = asyncio.create_task(follow())
    try:
        yield found
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


async def _holder(world: World) -> str:
    async def held() -> str:
        return _held_by(await world.rest.get(f"{LEASES}/{RECONCILER}"))

    found: str = await until(held, "a leader")
    return found


async def _another(world: World, before: str) -> bool:
    return _held_by(await world.rest.get(f"{LEASES}/{RECONCILER}")) not in ("", before)


def _held_by(lease: Json) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")


def _pod_of(holder: str) -> str:
    return holder.partition("_")[0]


async def _delete(world: World, pod: str, *, grace: int) -> None:
    await world.rest.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}", gracePeriodSeconds=grace)


async def _all_carry(world: World, text: str) -> None:
    async def carried() -> bool:
        return all(text in one[names.ROUTES] for one in await _carried(world))

    await until(carried, f"{text} carried by every live Pod")


async def _up_to_date(shop: Installed) -> None:
    async def true() -> bool:
        leaders = await shop.metric("evenkeel_reconciler_leader", RECONCILER)
        return leaders == 1 and await shop.metric("evenkeel_reconciler_pods_out_of_date", RECONCILER) == 0

    await until(true, "one leader that knows of no Pod out of date")


async def _carried(world: World) -> list[dict[str, str]]:
    found = await world.pods(SHOP, "app=caller")
    return [one["metadata"]["annotations"] for one in sorted(found, key=lambda one: str(one["metadata"]["name"]))]


async def _new_pod_has(shop: Installed, text: str) -> Json | None:
    found = await shop.dry_run(SHOP)
    annotations = found["metadata"]["annotations"]
    return found if text in annotations[names.ROUTES] + annotations[names.CLUSTERS] else None
