"""Endpoints pushed to real sidecars: servers come, go and are replaced under load, and how soon callers follow.

EndpointSlices are written by the tests, for Services that select nothing.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.kit import fleet
from tests.cluster.kit.install import Installed, installed, render
from tests.cluster.kit.obtain import obtain
from tests.cluster.kit.push import RATE, Shop, nothing_failed, pushed, quantile, told
from tests.cluster.kit.rolling import Rolling
from tests.cluster.kit.slices import service
from webhook.core import names
from webhook.demo.calls import Tally

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

SCALE_UPS = 100
BOUND = 1.0
"""Seconds within which the first call must reach 99 of 100 new endpoints."""
ROLLOUTS = 20
REFRESH = 1
"""Seconds between two questions of a sidecar to the DNS; as shipped 5, with which the test would take minutes."""
OUTLIVED = REFRESH + 0.5 + 0.3
"""For so long a new server is ready before an old one leaves, where DNS tells: refresh, its jitter, and an answer."""
PAUSE = 0.4
"""Where endpoints are pushed a successor is as long ready, only so that there are calls to be lost."""
AT_ONCE = 5


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def evenkeel(world) -> AsyncIterator[Installed]:
    """Install Evenkeel so that sidecars ask the DNS once a second."""
    objects = copy.deepcopy(render(obtain("kustomize")["kustomize"], "self-managed"))
    for one in objects:
        if one["kind"] == "Deployment":
            (container,) = one["spec"]["template"]["spec"]["containers"]
            variable = {"name": "EVENKEEL_SIDECAR_DNS_REFRESH_SECONDS", "value": str(REFRESH)}
            container.setdefault("env", []).append(variable)
    async with installed(world, objects) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(evenkeel) -> AsyncIterator[Shop]:
    """Have three Services, and a caller with each discovery."""
    services = [service(name) for name in ("orders", "stock", "bills")]
    callers = [fleet.caller("pushed"), fleet.caller("asking", annotations={names.DISCOVERY: "dns"})]
    async with pushed(evenkeel, "push", [*services, *callers]) as found:
        yield found


async def test_the_first_call_reaches_a_new_endpoint_within_a_second(shop) -> None:
    """100 times one more server and, when it has been called, one less; measured from before the slice is written.

    What the API server takes for the write itself, tens of milliseconds unless the machine is overloaded, is allowed
    on top of the second.
    """
    rolling = await shop.rolling("orders", 3)
    await shop.reached("pushed", rolling.current, authority="orders")
    found, written = [], []
    async with shop.callers("pushed").load("scale-ups", rate=RATE, authority="orders") as tally:
        for _ in range(SCALE_UPS):
            begun = time.monotonic()
            new = await rolling.add()
            written.append(time.monotonic() - begun)
            found.append(await new.called() - begun)
            await rolling.end_oldest()
        await rolling.ended()

    print(f"{SCALE_UPS} scale-ups, seconds until the first RPC: {told(found)}; the API server's write: {told(written)}")
    nothing_failed(tally)
    assert quantile(found, 0.99) <= BOUND + quantile(written, 0.99)


async def test_servers_replaced_one_by_one_lose_no_call_in_either_discovery(shop) -> None:
    """20 rollouts each, at the same time.

    Pushed: its successor has had one call before an old server's end is told of, and that serves for a second more.
    By DNS, ten of each of two Services: a successor is ready for longer than a refresh takes before an old server
    leaves the DNS, which then serves for as long again.
    """
    by_push = await shop.rolling("orders", 3)
    by_dns = {name: await shop.rolling(name, 2, stays=OUTLIVED) for name in ("stock", "bills")}
    await shop.reached("pushed", by_push.current, authority="orders")
    for name, rolling in by_dns.items():
        await shop.reached("asking", rolling.current, authority=name)

    tallies = await asyncio.gather(
        _roll(shop, "pushed", "orders", by_push, ROLLOUTS, available=PAUSE),
        *(_roll(shop, "asking", name, each, ROLLOUTS // 2, available=OUTLIVED) for name, each in by_dns.items()),
    )

    for what, tally in zip(("20 rollouts of 3, pushed", *["10 rollouts of 2, DNS"] * 2), tallies, strict=True):
        print(f"{what}: {tally.rpcs} RPCs, {tally.failed} failed {dict(tally.errors)}")
    for tally in tallies:
        nothing_failed(tally)


async def test_all_servers_replaced_at_once_lose_no_call(shop) -> None:
    """Five by five others by one write, five times; the old ones serve for a second more."""
    rolling = await shop.rolling("orders", AT_ONCE)
    await shop.reached("pushed", rolling.current, authority="orders")
    async with shop.callers("pushed").load("at-once", rate=RATE, authority="orders") as tally:
        for _ in range(5):
            for new in await rolling.replace_all():
                await new.called()
        await rolling.ended()

    print(f"5 times {AT_ONCE} servers replaced at once: {tally.rpcs} RPCs, {tally.failed} failed {dict(tally.errors)}")
    nothing_failed(tally)


async def _roll(shop: Shop, caller: str, name: str, rolling: Rolling, rollouts: int, *, available: float) -> Tally:
    """Replace all servers of a Service again and again under load, and give what became of the calls."""
    async with shop.callers(caller).load(f"rollouts-{name}", rate=RATE, authority=name) as tally:
        for _ in range(rollouts):
            await rolling.roll(available=available)
        await rolling.ended()
    return tally
