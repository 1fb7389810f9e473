"""What pushed endpoints bring to Services of every kind: zones, cluster addresses, health checks, odd slices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.kit import fleet
from tests.cluster.kit.backends import PORT, Backend
from tests.cluster.kit.command import checked
from tests.cluster.kit.install import XDS, until
from tests.cluster.kit.pod_status import NODE_NAME
from tests.cluster.kit.push import RATE, Shop, nothing_failed, pushed
from tests.cluster.kit.rest import Json
from tests.cluster.kit.slices import endpoint_slice, service
from webhook.core import names
from webhook.core.catalog import build_catalog
from webhook.core.model import Problem
from webhook.demo.calls import Tally

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

NAMESPACE = "push-services"
NODE = f"/api/v1/nodes/{NODE_NAME}"
ZONE = "topology.kubernetes.io/zone"
DIALLED = 3550
PRODUCTS = [{"name": "grpc", "port": DIALLED, "targetPort": PORT}]
DATAGRAMS = {"name": "grpc", "port": PORT, "protocol": "UDP"}
BAD = {names.HEALTH_CHECK: "maybe", names.LB_POLICY: "least_requests", f"{names.DOMAIN}/upstreem": "enabled"}
"""Three annotations that mean nothing."""
ODD: dict[str, Json] = {
    "names": {"addressType": "FQDN", "endpoints": [{"addresses": ["odd.example"]}]},
    "no-ports": {"endpoints": [{"addresses": ["10.245.255.1"]}], "ports": []},
    "any-port": {"endpoints": [{"addresses": ["10.245.255.2"]}], "ports": [{"name": "grpc"}]},
    "datagrams": {
        "endpoints": [{"addresses": ["10.245.255.3"]}],
        "ports": [{"name": "grpc", "port": 53, "protocol": "UDP"}],
    },
    "other-port": {"endpoints": [{"addresses": ["10.245.255.4"]}], "ports": [{"name": "metrics", "port": PORT}]},
    "not-ready": {"endpoints": [{"addresses": ["10.245.255.5"], "conditions": {"ready": False}}]},
    "ended": {"endpoints": [{"addresses": ["10.245.255.6"], "conditions": {"serving": False, "terminating": True}}]},
    "empty": {"endpoints": [], "ports": None},
}
"""Slices of which nobody can be called, as the API server takes them."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(world, evenkeel) -> AsyncIterator[Shop]:
    """Have Services of every kind, and one caller in zone `a` that captures their names."""
    services = [
        service("far"),
        service("near", trafficDistribution="PreferSameZone"),
        service("products", clusterIP=None, ports=PRODUCTS),
        service("checked", {names.HEALTH_CHECK: "grpc"}),
        service("odd", BAD),
        service("turning"),
    ]
    await world.rest.patch(NODE, {"metadata": {"labels": {ZONE: "a"}}})
    async with pushed(evenkeel, NAMESPACE, [*services, fleet.caller()], capture=True) as found:
        yield found
    await world.rest.patch(NODE, {"metadata": {"labels": {ZONE: None}}})


async def test_the_caller_s_zone_comes_first_as_long_as_it_has_its_share(shop) -> None:
    """Only where the Service says so; everywhere else the spread is even over all zones."""
    a, b = shop.servers.several(2), shop.servers.several(3)
    near, far = shop.published("near"), shop.published("far")
    for each in (near, far):
        await each.put(a, zone="a")
        await each.put(b[:2], zone="b")

    same_zone = await shop.spread("caller", a, authority="near")
    every_zone = await shop.spread("caller", [*a, *b[:2]], authority="far")
    await near.put(b[2:], zone="b")
    await near.remove(a[1:])
    too_few = await shop.spread("caller", [a[0], *b], authority="near")

    assert all(fleet.evenly(each) for each in (same_zone, every_zone, too_few)), (same_zone, every_zone, too_few)


async def test_a_service_with_a_cluster_address_is_balanced_by_call(shop, world) -> None:
    """Over one connection, by its authority at localhost and by each of its names, which the sidecar captures."""
    servers = shop.servers.several(3)
    await shop.published("products").put(servers)
    suffixes = ("", f".{NAMESPACE}", f".{NAMESPACE}.svc", f".{NAMESPACE}.svc.cluster.local")

    found = {"localhost": await shop.spread("caller", servers, authority=f"products:{DIALLED}")}
    for suffix in suffixes:
        found[suffix] = await shop.spread("caller", servers, target=f"products{suffix}:{DIALLED}")

    (pod,) = await world.pods(NAMESPACE, "app=caller")
    (address,) = (one["ip"] for one in pod["spec"]["hostAliases"] if "products" in one["hostnames"])
    assert address.startswith("127.")
    assert all(fleet.evenly(tally) for tally in found.values()), found


async def test_a_server_that_says_it_does_not_serve_gets_nothing(shop) -> None:
    """By grpc.health.v1, asked by the caller's own sidecar, of a server that comes and of one that was well before."""
    *well, ill = shop.servers.several(3)
    ill.healthy = False
    published = shop.published("checked")
    await published.put(well)
    # Where nobody has answered yet, all are called.
    await until(lambda: _asked(well), "asked for the first time")
    await shop.reached("caller", well, authority="checked")

    async with shop.callers("caller").load("checked", rate=RATE, authority="checked") as tally:
        await published.put([ill])
        await shop.spread("caller", well, authority="checked")
        before = ill.calls
        ill.healthy, well[0].healthy = True, False
        await shop.spread("caller", [well[1], ill], authority="checked")

    nothing_failed(tally)
    assert before == 0


async def test_odd_slices_and_annotations_are_named_and_the_rest_is_served(shop, world, evenkeel) -> None:
    """In slices beside the odd ones, by metrics of the control plane, and by `evenkeel check`."""
    servers = shop.servers.several(2)
    for name, fields in ODD.items():
        await world.rest.apply(endpoint_slice("odd", f"odd-{name}", **fields), namespace=NAMESPACE)
    await shop.published("odd").put(servers)
    tally = await shop.spread("caller", servers, authority="odd")

    assert fleet.evenly(tally)
    codes = {"bad-address-type": 1, "slice-without-ports": 1, "bad-slice-port": 1}
    for code, count in codes.items():
        await until(lambda code=code, count=count: _counts(evenkeel, code, 2 * count), f"{count} times {code}")
    bad = [one.where for one in await _problems(world) if one.code == "bad-annotation"]
    assert bad.count(f"Service {NAMESPACE}/odd") == 2
    assert await evenkeel.metric("evenkeel_catalog_problems", XDS, code="bad-annotation") == 2 * len(bad)
    found = await checked(world.plane.kubeconfig)
    said = [line for one in found.values() for line in one.get("found", ())]
    for annotation in BAD:
        assert [line for line in said if f"{NAMESPACE}/odd" in line and annotation in line], said


async def test_a_service_that_turns_into_one_with_an_address_and_back(shop, world) -> None:
    """Which takes deleting it: its own calls fail meanwhile, and those to its neighbour do not."""
    servers, neighbours = shop.servers.several(2), shop.servers.several(2)
    await shop.published("turning").put(servers)
    await shop.published("far").write()
    await shop.published("products").put(neighbours)
    await shop.reached("caller", neighbours, authority=f"products:{DIALLED}")
    await shop.reached("caller", servers, authority="turning")
    callers, path = shop.callers("caller"), f"/api/v1/namespaces/{NAMESPACE}/services/turning"

    async def is_gone() -> bool:
        return (await callers.run(rpcs=1, authority="turning")).failed == 1

    async with callers.load("neighbour", rate=RATE, authority=f"products:{DIALLED}") as tally:
        found: list[Tally] = []
        for spec in ({"clusterIP": None}, {}, {"clusterIP": None}):
            await world.rest.delete(path)
            await until(is_gone, "unknown to the caller")
            await world.apply([service("turning", **spec)], namespace=NAMESPACE)
            found.append(await shop.spread("caller", servers, authority="turning"))

    nothing_failed(tally)
    assert all(fleet.evenly(each) for each in found), found


async def _problems(world: Any) -> tuple[Problem, ...]:
    """Give what is wrong with Services and Namespaces of the whole cluster, where other tests have left theirs."""
    paths = {"Service": "/api/v1/services", "Namespace": "/api/v1/namespaces"}
    found = [
        {**one, "apiVersion": "v1", "kind": kind}
        for kind, path in paths.items()
        for one in (await world.rest.get(path))["items"]
    ]
    return build_catalog(found).problems


async def _asked(servers: list[Backend]) -> bool:
    return all(one.checks for one in servers)


async def _counts(evenkeel: Any, code: str, wanted: int) -> bool:
    return bool(await evenkeel.metric("evenkeel_xds_endpoint_problems", XDS, code=code) == wanted)
