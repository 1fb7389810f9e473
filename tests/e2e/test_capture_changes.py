"""What changes under a live Pod whose calls go through a captured name: pods, ports, kinds of Services, the DNS."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from tests.e2e.kit import captured, talk
from webhook.demo.calls import Callers
from webhook.demo.service_address import service_address
from webhook.node.pod import Pod

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

NAME = "app.moves.svc.cluster.local"


@dataclass(frozen=True)
class Moves:
    """What was applied."""

    world: Any
    client: Pod
    calls: Callers
    service: dict[str, Any]

    @property
    def servers(self) -> Any:
        """Give the Deployment behind both names."""
        return self.world.deployment("moves", "app")

    async def change(self, **spec: Any) -> None:
        """Change the Service's spec as it was at first, and have the Pod refreshed."""
        await captured.replace(self.world, self.client, {**self.service, "spec": {**self.service["spec"], **spec}})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def moves(world):
    """Apply everything once; wait until the sidecar has asked the DNS."""
    documents = captured.read("moves")
    await captured.apply(world, documents)
    client = world.deployment("moves", "client").pods[0]
    await captured.refresh(world, client)
    await captured.settled(client, {"app:50051": 5, "steady:50051": 5})
    return Moves(world, client, Callers([client]), captured.service(documents, "app"))


@pytest_asyncio.fixture(loop_scope="module")
async def steady(moves):
    """Call the other name all the time: none of it may fail, whatever a test does to the first."""
    async with moves.calls.load("steady", target="steady:50051", rate=50) as load:
        yield
    assert (dict(load.errors), load.rpcs > 0) == ({}, True)
    assert all(status.restarts == 0 for status in moves.client.statuses.values())


@pytest.mark.parametrize("replicas", [10, 3])
async def test_pods_that_come_and_go_are_followed_through_a_captured_name(moves, replicas):
    """5 -> 10 -> 3, under load on one connection, and even when all is quiet again.

    What is lost where most pods leave in one instant is a matter of the DNS, and reported as measured.
    """
    async with moves.calls.load("app", target="app:50051", rate=100) as load:
        await moves.world.cluster.scale(moves.servers, replicas)
        await captured.settled(moves.client, {"app:50051": replicas})
    found = await talk.call(moves.client, "python", "app:50051", rpcs=10 * replicas)
    print(f"\nto {replicas}: {load.rpcs} RPCs, {load.failed} failed", dict(load.errors) or "")

    assert found["app:50051"]["backends"] == dict.fromkeys(moves.servers.addresses, 10)
    assert load.failed == 0 or replicas == 3


async def test_a_new_port_is_listened_on_and_the_old_one_goes_on(moves, steady):
    """As a headless Service's pods are dialled by their own port too, which has not changed."""
    async with moves.calls.load("app", target="app:50051", rate=100) as load:
        await moves.change(ports=[{"name": "grpc", "port": 7000, "targetPort": 50051}])
        await captured.settled(moves.client, dict.fromkeys(("app:7000", "app:50051"), len(moves.servers.pods)))
    await moves.change()

    assert dict(load.errors) == {}


async def test_a_service_that_gets_an_address_is_passed_on_to_it(moves, steady):
    """Connection by connection, as without us: in dns discovery a name leads to that address and to no pod."""
    pods = moves.servers.addresses
    calling = moves.calls.load("app", target="app:50051", rate=100)
    async with service_address("10.96.0.7", 50051, pods, 50051) as connections, calling as load:
        await moves.change(clusterIP="10.96.0.7")

        async def taken_there() -> bool:
            await talk.call(moves.client, "python", "app:50051", rpcs=3)
            return bool(connections)

        await captured.until(taken_there, "calls reach the Service's address")
        found = await talk.call(moves.client, "python", "app:50051", rpcs=30)
        await moves.change()
        await captured.settled(moves.client, {"app:50051": len(moves.servers.pods)})

    assert dict(load.errors) == {}
    assert found["app:50051"]["errors"] == {}
    assert list(found["app:50051"]["pods"].values()) == [30]


async def test_a_service_that_is_deleted_fails_at_once_and_works_when_it_is_back(moves, steady):
    """As a name without an address does: UNAVAILABLE, not a deadline; open connections too."""

    async def gone() -> bool:
        return (await talk.call(moves.client, "python", "app:50051", rpcs=3))["app:50051"]["failed"] == 3

    async with moves.calls.load("app", target="app:50051", rate=100) as load:
        await captured.remove(moves.world, moves.client, "moves", "app")
        await captured.until(gone, "calls fail")
        began = time.monotonic()
        failed = (await talk.call(moves.client, "python", "app:50051", rpcs=10))["app:50051"]
        seconds = time.monotonic() - began
        await moves.change()
        await captured.settled(moves.client, {"app:50051": len(moves.servers.pods)})
    print(f"\nten calls failed within {seconds:.2f} s:", failed["errors"], dict(load.errors))

    assert {error.partition(":")[0] for error in (*failed["errors"], *load.errors)} == {"UNAVAILABLE"}


async def test_a_dns_that_answers_with_our_own_address_takes_nobody_down(moves, steady):
    """Nothing of ours answers so; if a cluster's DNS did, calls would come back to the sidecar that made them.

    Unhindered, one such call makes the sidecar grow by 40 MB a second for as long as its deadline lasts.
    """
    own = next(one["ip"] for one in moves.client.document["spec"]["hostAliases"] if "app" in one["hostnames"])
    views, before = moves.world.node.dns.views, sidecar(moves.client).memory_info().rss
    views.publish(replace(honest := views.seen(), addresses={**honest.addresses, NAME: (own,)}))

    async def misled() -> bool:
        return bool((await talk.call(moves.client, "python", "app:50051", rpcs=1, deadline=1))["app:50051"]["failed"])

    await captured.until(misled, "the sidecar believes the DNS")
    found = (await talk.call(moves.client, "python", "app:50051", rpcs=1, deadline=4))["app:50051"]
    grown = sidecar(moves.client).memory_info().rss - before
    views.publish(honest)
    await captured.settled(moves.client, {"app:50051": len(moves.servers.pods)})
    print(f"\n{grown / 2**20:.0f} MiB more:", found["errors"])

    assert found["failed"] == 1
    assert grown < 20 * 2**20


def sidecar(pod: Pod) -> psutil.Process:
    """Give the process of a Pod's Envoy."""
    namespace = Path(f"/proc/self/fd/{pod.room.namespaces[0]}").readlink()
    envoys = (each for each in psutil.process_iter(["name"]) if each.info["name"] == "envoy")
    return next(each for each in envoys if Path(f"/proc/{each.pid}/ns/net").readlink() == namespace)
