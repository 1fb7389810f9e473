"""A namespace whose callers are told of endpoints by `evenkeel xds`, and servers that no Pod runs."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from tests.cluster.kit import fleet
from tests.cluster.kit.backends import Backend, Backends, backends
from tests.cluster.kit.install import XDS, Installed, until
from tests.cluster.kit.rest import Json
from tests.cluster.kit.rolling import Rolling
from tests.cluster.kit.slices import NamedSlices, Published, named_slices
from tests.cluster.kit.world import World
from webhook.core import names
from webhook.demo.calls import Callers, Tally

RATE: Final = 150.0
"""Calls a second of each load."""
STAYS: Final = 1.0
"""Seconds that a server which is told to end goes on serving where endpoints are pushed: a preStop sleep.

Without one, gRPC's own server lost 3 calls of 137,000 in 480 replacements: those that reached it by a connection which
was made while it closed its listener.
"""
_ASKED: Final = 6
"""Dry runs, so that each replica has one."""
_TOLD: Final = (("p50", 0.5), ("p99", 0.99), ("max", 1))


@dataclass(frozen=True, slots=True)
class Shop:
    """Where Services select nothing, and the tests say what is behind them."""

    world: World
    namespace: str
    dns: NamedSlices
    servers: Backends

    def callers(self, name: str) -> Callers:
        """Give the Pods of a Deployment of callers."""
        return fleet.callers(self.world, self.namespace, name)

    def published(self, name: str) -> Published:
        """Give what is told of a Service's endpoints; nothing is, yet."""
        return Published(self.world, self.dns, self.namespace, name)

    async def rolling(self, name: str, count: int, *, stays: float = STAYS) -> Rolling:
        """Have servers of a Service."""
        found = Rolling(self.servers, self.published(name), stays)
        await found.begin(count)
        return found

    async def reached(self, caller: str, servers: Sequence[Backend], **spec: Any) -> None:
        """Wait until a caller reaches each of these servers, and no other."""
        wanted = {one.address for one in servers}

        async def all_reached() -> bool:
            tally = await self.callers(caller).run(rpcs=4 * len(wanted), concurrency=1, **spec)
            return tally.failed == 0 and set(tally.backends) == wanted

        await until(all_reached, f"reached by {caller}, and nobody else: {sorted(wanted)}")

    async def spread(self, caller: str, servers: Sequence[Backend], **spec: Any) -> Tally:
        """Wait until a caller reaches just these servers, and give what became of 50 RPCs for each."""
        await self.reached(caller, servers, **spec)
        return await self.callers(caller).run(rpcs=50 * len(servers), concurrency=1, **spec)


@asynccontextmanager
async def pushed(
    evenkeel: Installed, namespace: str, objects: Sequence[Json], *, capture: bool = False
) -> AsyncIterator[Shop]:
    """Have such a namespace with these objects in it, Services before the Deployments, which are waited for."""
    world = evenkeel.world
    await world.namespace(namespace, {names.INJECT: names.ENABLED}, run=True)
    said = {names.DISCOVERY: "xds", **({names.CAPTURE: names.ENABLED} if capture else {})}
    await world.rest.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"annotations": said}})
    deployments = [one for one in objects if one["kind"] == "Deployment"]
    async with named_slices(world) as dns, backends() as servers:
        await world.apply([one for one in objects if one not in deployments], namespace=namespace)
        await until(lambda: _known(evenkeel, namespace, objects, capture=capture), "known to the webhook")
        await world.apply(deployments, namespace=namespace)
        for one in deployments:
            await world.available(namespace, one["metadata"]["name"])
        yield Shop(world, namespace, dns, servers)
        await world.delete(deployments, namespace=namespace)


async def _known(evenkeel: Installed, namespace: str, objects: Sequence[Json], *, capture: bool) -> bool:
    """Say whether every replica of the webhook gives a Pod what the namespace and all its Services ask for."""
    services = {f"{one['metadata']['name']}.{namespace}" for one in objects if one["kind"] == "Service"}
    for _ in range(_ASKED):
        pod = await evenkeel.dry_run(namespace)
        annotations = pod["metadata"]["annotations"]
        captured = {name for alias in pod["spec"].get("hostAliases") or () for name in alias["hostnames"]}
        called = all(name in annotations[names.CLUSTERS] for name in services)
        if not (names.IDENTITY in annotations and called and (services <= captured or not capture)):
            return False
    return True


def kill_control_plane(evenkeel: Installed) -> None:
    """Kill every replica's process, this very moment; the node starts them again."""
    containers = [one for replica in evenkeel.replicas(XDS) for one in replica._order.everything]
    for process in [one._process for one in containers if one._process is not None]:
        os.kill(process.pid, signal.SIGKILL)


def nothing_failed(tally: Tally) -> None:
    """Assert that every call was answered."""
    assert (tally.failed, dict(tally.errors)) == (0, {})
    assert tally.rpcs > 0


def quantile(found: Sequence[float], share: float) -> float:
    """Give the value that this share is not above."""
    return sorted(found)[math.ceil(share * len(found)) - 1]


def told(found: Sequence[float]) -> str:
    """Give what is printed of measured seconds."""
    return ", ".join(f"{name} {quantile(found, share):.3f}" for name, share in _TOLD)
