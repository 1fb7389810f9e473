"""What the API server may do to us: cut watches, forget history, go away. We go on with what we know."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections import Counter
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.cluster.kit import fleet
from tests.cluster.kit.install import NAMESPACE, RECONCILER, WEBHOOK, XDS, Installed, until
from tests.cluster.kit.world import World
from webhook.core import names

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

SHOP = "troubles"
CONNECTED = "evenkeel_discovery_connected"
RELISTS = "evenkeel_discovery_relists_total"
WATCHES = {WEBHOOK: 5, RECONCILER: 6, XDS: 6}
"""Services, Namespaces, EndpointSlices of headless Services and of others, and the CAs that sidecars are to trust;
beside them the Pods with our label, or every EndpointSlice."""
DOWN_SECONDS = 10.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(world, evenkeel) -> Installed:
    """Have three servers and an injected caller, which calls them whatever other Services come."""
    await world.namespace(SHOP, {names.INJECT: names.ENABLED}, run=True)
    caller = fleet.caller(annotations={names.DEFAULT_UPSTREAM: "echo"})
    await world.apply([fleet.service(), fleet.servers(), caller], namespace=SHOP)
    for name in ("echo", "caller"):
        await world.available(SHOP, name)
    await fleet.balanced(world, SHOP)
    return evenkeel


async def test_cut_connections_are_resumed_without_listing_again(world, shop) -> None:
    """Every connection of ours is reset; what changes then is seen, and no list is needed for it."""
    before = {name: await shop.metric(RELISTS, name) for name in WATCHES}
    failed = {name: await shop.metric("evenkeel_discovery_errors_total", name) for name in WATCHES}
    _cut(world, shop)

    await _taken_up(world, shop, "cut")

    for name in WATCHES:
        assert await shop.metric("evenkeel_discovery_errors_total", name) >= failed[name] + 2
        assert await shop.metric(RELISTS, name) == before[name]
    await _healthy(shop)


async def test_forgotten_history_is_listed_again(world, shop) -> None:
    """The watches are told 410 Gone: lists are read, and what happened is known."""
    before = {name: await shop.metric(RELISTS, name, reason="expired") for name in WATCHES}
    await world.plane.forget_history()

    await _taken_up(world, shop, "forgotten")

    await _healthy(shop)
    for name in WATCHES:
        assert await shop.metric(RELISTS, name, reason="expired") > before[name]


async def test_an_api_server_away_for_ten_seconds_is_told_once_and_awaited(world, shop) -> None:
    """Ready all the time with the last catalog; connected falls to 0 and comes back; nothing is started anew."""
    same = await fleet.identities(world, SHOP), await _ours(world)
    services = [await shop.metric("evenkeel_catalog_services", name) for name in WATCHES]
    told = _told(shop)
    async with fleet.callers(world, SHOP).load("outage", rate=50) as tally:
        await world.plane.stop_apiserver()
        away = asyncio.create_task(asyncio.sleep(DOWN_SECONDS))
        for name in WATCHES:
            await until(lambda name=name: _connected(shop, name, 0), f"{name} disconnected")
        readiness = {await _readyz(pod.address) for pod in shop.replicas()}
        known = [await shop.metric("evenkeel_catalog_services", name) for name in WATCHES]
        await away
        readiness |= {await _readyz(pod.address) for pod in shop.replicas()}
        await world.plane.start_apiserver()
        await _taken_up(world, shop, "outage")
        await _healthy(shop)

    assert readiness == {200}
    assert known == services
    lost = Counter({"lost": sum(WATCHES.values()) * 2, "back": sum(WATCHES.values()) * 2})
    assert _told(shop) - told == lost
    assert (tally.failed, dict(tally.errors)) == (0, {})
    assert (await fleet.identities(world, SHOP), await _ours(world)) == same


def _cut(world: World, shop: Installed) -> None:
    """Reset every connection between our replicas and the API server."""
    port = world.plane.server.rpartition(":")[2]
    for pod in _replicas(shop):
        if shutil.which("ss") is None and os.environ.get("CI") != "true":
            pytest.skip("connections are cut by `ss`, which is not here: it comes with iproute2")
        subprocess.run(["ss", "-K", "dst", pod.address, "sport", "=", f":{port}"], check=True, capture_output=True)


async def _taken_up(world: World, shop: Installed, service: str) -> None:
    """Make a Service, and wait until both a new Pod and the live one know it."""
    await world.apply([fleet.service(service)], namespace=SHOP)

    async def known() -> bool:
        carried = [*await world.pods(SHOP, "app=caller"), await shop.dry_run(SHOP)]
        return all(f"{service}.{SHOP}" in one["metadata"]["annotations"][names.CLUSTERS] for one in carried)

    await until(known, f"Service {service} known to live and new Pods")


async def _healthy(shop: Installed) -> None:
    """Wait until everything is followed and one reconciler writes."""
    for name, count in WATCHES.items():
        await until(lambda name=name, count=count: _connected(shop, name, 2 * count), f"{name} connected")

    async def one_leads() -> bool:
        return await shop.metric("evenkeel_reconciler_leader", RECONCILER) == 1

    await until(one_leads, "one reconciler that writes")


async def _connected(shop: Installed, name: str, wanted: int) -> bool:
    return await shop.metric(CONNECTED, name) == wanted


async def _readyz(address: str) -> int:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        return (await client.get(f"http://{address}:8080/readyz")).status_code


def _replicas(shop: Installed) -> list[Any]:
    return [one for deployment in WATCHES for one in shop.replicas(deployment)]


def _told(shop: Installed) -> Counter[str]:
    """Count what the replicas have logged of outages, over all their watches."""
    words = {"the API server is lost, what is known stays in use": "lost", "the API server is back": "back"}
    found: Counter[str] = Counter()
    for pod in _replicas(shop):
        (container,) = pod.statuses
        lines = [json.loads(line) for line in pod.logs(container).splitlines() if line.startswith("{")]
        found.update(words[line["event"]] for line in lines if line.get("event") in words)
    return found


async def _ours(world: World) -> set[tuple[str, int]]:
    found = await world.pods(NAMESPACE)
    return {
        (one["metadata"]["uid"], sum(each["restartCount"] for each in one["status"]["containerStatuses"]))
        for one in found
    }
