"""Who tells of endpoints is away, for a moment or for good: what is known stays in use, and nobody waits."""

from __future__ import annotations

import asyncio
import time
from base64 import b64decode
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
import yaml

from tests.cluster.kit import fleet
from tests.cluster.kit.backends import PORT, Backend
from tests.cluster.kit.install import NAMESPACE, XDS, Installed, until
from tests.cluster.kit.push import Shop, kill_control_plane, nothing_failed, pushed
from tests.cluster.kit.rolling import Rolling
from tests.cluster.kit.secret import SECRET, bundles, der, earlier, rewrite, served, stored
from tests.cluster.kit.slices import service
from tests.cluster.kit.world import World, gone
from webhook.core import names
from webhook.demo.service_address import service_address
from webhook.node.pod import Pod
from webhook.tls.plan import SPREAD

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

RATE = 50.0
DOWN_SECONDS = 60.0
ADDRESS, DIALLED = "10.96.0.8", 3550
READY = 3.0
"""Seconds after which a sidecar must be ready though nobody tells it of endpoints."""
WEEK = timedelta(days=7)
_REPLICAS = "app.kubernetes.io/component=xds"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(evenkeel) -> AsyncIterator[Shop]:
    """Have a Service, and a caller.

    Servers are killed here: what they were just answering is sent again only where the Service says that it may be.
    """
    orders = service("orders", {names.RETRY: "idempotent"})
    products = service("products", clusterIP=None, ports=[{"name": "grpc", "port": DIALLED, "targetPort": PORT}])
    async with pushed(evenkeel, "push-outages", [orders, products, fleet.caller()]) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def orders(shop) -> Rolling:
    """Have its servers, and the caller reach them."""
    found = await shop.rolling("orders", 4)
    await shop.reached("caller", found.current)
    return found


async def test_the_control_plane_is_killed_under_load(shop, orders, evenkeel) -> None:
    """Both replicas at the same instant; no call is lost, and when they are back new servers are followed."""
    async with shop.callers("caller").load("killed", rate=RATE) as tally:
        begun = time.monotonic()
        kill_control_plane(evenkeel)
        orders.current.pop().kill()
        seconds = await (await orders.add()).called(60) - begun

    print(f"control plane killed: followed again after {seconds:.1f} s, {tally.rpcs} RPCs, {tally.failed} failed")
    nothing_failed(tally)
    assert sum(pod.statuses["xds"].restarts for pod in evenkeel.replicas(XDS)) >= 2


async def test_a_sidecar_that_starts_while_it_is_dead_balances_by_dns(shop, orders, world, evenkeel) -> None:
    """Ready within three seconds and right from the first call; pushed endpoints take over once there are some.

    The DNS knows other servers than the slices, so that calls show who told.
    """
    resolved = shop.servers.several(2)
    (early,) = fleet.live(world, shop.namespace, "caller")
    async with shop.callers("caller").load("dead", rate=RATE) as tally:
        await _scale_to_nothing(evenkeel)
        orders.published.resolve(*(one.address for one in resolved))
        await world.apply([fleet.caller("late")], namespace=shop.namespace)
        await world.available(shop.namespace, "late")
        by_dns = await shop.callers("late").run(rpcs=100, concurrency=1)
        await evenkeel.scale(XDS, 2)
        await shop.reached("late", orders.current)

    (late,) = fleet.live(world, shop.namespace, "late")
    print(f"sidecar ready after {_ready_after(late):.2f} s without control plane, {_ready_after(early):.2f} s with it")
    nothing_failed(tally)
    assert set(tally.backends) == _addresses(orders.current)
    assert (by_dns.failed, by_dns.backends) == (0, {one.address: 50 for one in resolved})
    # What starting one takes on this machine, by one that started in peace, is not the outage's.
    assert _ready_after(late) <= READY + _ready_after(early)
    await world.rest.delete(f"/apis/apps/v1/namespaces/{shop.namespace}/deployments/late")


async def test_a_service_with_an_address_is_called_there_while_nobody_pushes(shop, world, evenkeel) -> None:
    """At its own port, by a sidecar that has never been told of its endpoints: by connection, then by call."""
    servers = shop.servers.several(2)
    products = shop.published("products")
    await products.put(servers)
    products.resolve(ADDRESS)
    async with service_address(ADDRESS, DIALLED, sorted(_addresses(servers)), PORT) as connections:
        await _scale_to_nothing(evenkeel)
        await world.apply([fleet.caller("later")], namespace=shop.namespace)
        await world.available(shop.namespace, "later")
        by_address = await shop.callers("later").run(rpcs=100, concurrency=1, authority="products")
        await evenkeel.scale(XDS, 2)
        pushed_again = await shop.spread("later", servers, authority="products")

    await world.rest.delete(f"/apis/apps/v1/namespaces/{shop.namespace}/deployments/later")
    assert (by_address.failed, by_address.backends.keys() <= _addresses(servers)) == (0, True)
    assert by_address.backends.keys() <= set(connections)
    assert fleet.evenly(pushed_again)


async def test_the_api_server_is_gone_for_a_minute(shop, orders, world, evenkeel) -> None:
    """No call is lost, though a server dies and the control plane is killed meanwhile; then all is followed again."""
    begun = time.monotonic()
    async with shop.callers("caller").load("minute", rate=RATE) as tally:
        await world.plane.stop_apiserver()
        orders.current.pop().kill()
        await asyncio.sleep(DOWN_SECONDS / 2)
        kill_control_plane(evenkeel)
        await asyncio.sleep(DOWN_SECONDS / 2)
        await world.plane.start_apiserver()
        down = time.monotonic() - begun
        followed = await (await orders.add()).called(60) - begun - down
    # One of the two is enough to be told; the other may have noticed later that there is an API server again.
    await world.available(NAMESPACE, XDS)

    print(
        f"API server gone for {down:.0f} s, followed {followed:.0f} s later: {tally.rpcs} RPCs, {tally.failed} failed"
    )
    nothing_failed(tally)


async def test_a_new_ca_and_a_rollout_of_the_control_plane(shop, orders, world, evenkeel) -> None:
    """Live sidecars are given the next CA before it signs, so that the new replicas' certificate is good to them."""
    same = await fleet.identities(world, shop.namespace)
    async with shop.callers("caller").load("rotation", rate=RATE) as tally:
        await world.rest.delete(SECRET)
        await until(lambda: _trusted(shop, 2), "the next CA carried by the live sidecar")
        await until(lambda: _published(world), "its wait begun")
        await rewrite(world.rest, lambda state: earlier(state, SPREAD))
        await until(lambda: _signed_by_the_next(world), "the next CA signs")
        await until(lambda: _served(world, evenkeel), "its leaf served by the control plane")
        begun = time.monotonic()
        await evenkeel.restart(XDS)
        seconds = time.monotonic() - begun
        await (await orders.add()).called()
        await rewrite(world.rest, lambda state: earlier(state, WEEK))
        await until(lambda: _trusted(shop, 1), "the old CA taken away")
        await (await orders.add()).called()

    print(f"rollout of the control plane: {seconds:.1f} s; {tally.rpcs} RPCs, {tally.failed} failed")
    nothing_failed(tally)
    assert await fleet.identities(world, shop.namespace) == same
    (bundle,) = set(await bundles(world.rest))
    assert b64decode(bundle).decode().strip() in await _trust(shop)


async def _scale_to_nothing(evenkeel: Installed) -> None:
    """Have no control plane at all, and do not wait until its replicas have ended in good order."""
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{XDS}"
    await evenkeel.world.rest.patch(path, {"spec": {"replicas": 0}})
    pods = await evenkeel.world.pods(NAMESPACE, _REPLICAS)
    for one in pods:
        with gone():
            path = f"/api/v1/namespaces/{NAMESPACE}/pods/{one['metadata']['name']}"
            await evenkeel.world.rest.delete(path, gracePeriodSeconds=0)
    await evenkeel.world.gone(NAMESPACE, _REPLICAS)


def _addresses(servers: list[Backend]) -> set[str]:
    return {one.address for one in servers}


def _ready_after(pod: Pod) -> float:
    """Give how long the sidecar kept the app waiting, in seconds."""
    sidecar, app = (pod.statuses[name].started_at for name in (names.SIDECAR, "app"))
    assert sidecar is not None
    assert app is not None
    return app - sidecar


async def _trust(shop: Shop) -> str:
    """Give what the live sidecar has been told to trust, as text."""
    (pod,) = await shop.world.pods(shop.namespace, "app=caller")
    (secret,) = yaml.safe_load(pod["metadata"]["annotations"][names.TRUST])["resources"]
    return str(secret["validation_context"]["trusted_ca"]["inline_string"])


async def _trusted(shop: Shop, authorities: int) -> bool:
    return (await _trust(shop)).count("BEGIN CERTIFICATE") == authorities


async def _published(world: World) -> bool:
    return (await stored(world.rest)).published is not None


async def _signed_by_the_next(world: World) -> bool:
    return (await stored(world.rest)).leaving != ()


async def _served(world: World, evenkeel: Installed) -> bool:
    return await served(evenkeel, XDS) == {der((await stored(world.rest)).leaf.certificate)}
