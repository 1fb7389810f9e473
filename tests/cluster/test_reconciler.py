"""Live Pods follow their Services and their own annotations: no restart, and nothing else of them is touched."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.cluster.kit import fleet
from tests.cluster.kit.identity import write_document
from tests.cluster.kit.install import NAMESPACE, RECONCILER, Installed, until
from tests.cluster.kit.rest import Json
from tests.cluster.kit.world import World
from webhook.core import names

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

SHOP = "reconciler"
SERVICES = f"/api/v1/namespaces/{SHOP}/services"
PATCHES = "evenkeel_reconciler_patches_total"
CHANGE = "evenkeel_reconciler_service_change_to_last_pod_seconds"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(world, evenkeel) -> Installed:
    """Have an injected caller, and nobody whom it could call."""
    await world.namespace(SHOP, {names.INJECT: names.ENABLED}, run=True)
    await world.apply([fleet.caller()], namespace=SHOP)
    await world.available(SHOP, "caller")
    return evenkeel


async def test_a_deployment_before_its_service_ends_balanced_without_a_restart(world, shop) -> None:
    """The same Pod; and but for our four annotations it is what it was, to the last field."""
    same, (before,) = await fleet.identities(world, SHOP), await world.pods(SHOP, "app=caller")
    early = await fleet.callers(world, SHOP).run(rpcs=5)

    await world.apply([fleet.service(), fleet.servers(replicas=5)], namespace=SHOP)
    await world.available(SHOP, "echo")
    tally = await fleet.balanced(world, SHOP)

    (after,) = await world.pods(SHOP, "app=caller")
    assert early.failed == 5
    assert {error.partition(":")[0] for error in early.errors} == {"UNAVAILABLE"}
    assert "none is known here" in next(iter(early.errors))
    assert fleet.evenly(tally)
    assert await fleet.identities(world, SHOP) == same
    assert {restarts for _, restarts in same} == {0}
    assert _differences(before, after) == {names.CLUSTERS, names.ROUTES, names.STATUS}
    assert _but_for_ours(before) == _but_for_ours(after)


async def test_scaling_is_followed_by_envoy_alone(world, shop) -> None:
    """5 -> 10 -> 5 servers: the RPCs are even each time, and no Pod is patched for it."""
    patches = await shop.metric(PATCHES, RECONCILER)
    found = {}
    for replicas in (10, 5):
        path = f"/apis/apps/v1/namespaces/{SHOP}/deployments/echo"
        await world.rest.patch(path, {"spec": {"replicas": replicas}})
        await world.available(SHOP, "echo")
        found[replicas] = await fleet.balanced(world, SHOP)

    assert {replicas: len(tally.backends) for replicas, tally in found.items()} == {10: 10, 5: 5}
    assert all(fleet.evenly(tally) for tally in found.values()), found
    assert await shop.metric(PATCHES, RECONCILER) == patches


async def test_a_service_is_deleted_and_made_again(world, shop) -> None:
    """Calls are then answered UNAVAILABLE with the reason, and balanced again afterwards, by the same Pod."""
    same = await fleet.identities(world, SHOP)
    await world.rest.delete(f"{SERVICES}/echo")
    await _carry(world, lambda carried: f"echo.{SHOP}" not in carried[names.CLUSTERS])
    without = await until(lambda: _refused(world), "calls refused by Envoy")

    await world.apply([fleet.service()], namespace=SHOP)
    tally = await fleet.balanced(world, SHOP)

    assert set(without) == {"UNAVAILABLE"}
    assert "none is known here" in without["UNAVAILABLE"]
    assert fleet.evenly(tally)
    assert await fleet.identities(world, SHOP) == same


async def test_a_service_s_annotations_are_followed(world, shop) -> None:
    """Its policy, and the gRPC services that it claims: Envoy routes by what was changed."""
    await world.apply([fleet.service("other"), fleet.servers("other", 1)], namespace=SHOP)
    await world.available(SHOP, "other")
    same = await fleet.identities(world, SHOP)
    changed = {names.LB_POLICY: "least_request", names.GRPC_SERVICES: "shop.v1.Orders"}
    await world.rest.patch(f"{SERVICES}/other", {"metadata": {"annotations": changed}})

    await _carry(world, lambda carried: "LEAST_REQUEST" in carried[names.CLUSTERS])
    await fleet.balanced(world, SHOP, "other", method="/shop.v1.Orders/Get")

    assert await fleet.identities(world, SHOP) == same


async def test_a_pod_s_own_annotations_are_followed(world, shop) -> None:
    """As `kubectl annotate pod` sets them: other calls to localhost now go where it says."""
    same, (pod,) = await fleet.identities(world, SHOP), await world.pods(SHOP, "app=caller")
    path = f"/api/v1/namespaces/{SHOP}/pods/{pod['metadata']['name']}"

    await world.rest.patch(path, {"metadata": {"annotations": {names.DEFAULT_UPSTREAM: "other"}}})
    await fleet.balanced(world, SHOP, "other")
    await world.rest.patch(path, {"metadata": {"annotations": {names.DEFAULT_UPSTREAM: "echo"}}})
    tally = await fleet.balanced(world, SHOP)

    assert fleet.evenly(tally)
    assert await fleet.identities(world, SHOP) == same


async def test_a_service_exported_to_another_namespace_is_reached_from_there(world, shop) -> None:
    """And no longer once it is not."""
    await world.namespace("reconciler-guest", {names.INJECT: names.ENABLED}, run=True)
    await world.apply([fleet.caller("guest")], namespace="reconciler-guest")
    await world.available("reconciler-guest", "guest")
    guests = fleet.callers(world, "reconciler-guest", "guest")
    wanted = {pod.address for pod in fleet.live(world, SHOP, "echo")}

    async def reached() -> bool:
        return set((await guests.run(rpcs=20)).backends) == wanted

    async def refused() -> bool:
        return set((await guests.run(rpcs=5)).backends) == set()

    await world.rest.patch(f"{SERVICES}/echo", {"metadata": {"annotations": {names.EXPORT_TO: "reconciler-guest"}}})
    await until(reached, "the exported Service reached")
    await world.rest.patch(f"{SERVICES}/echo", {"metadata": {"annotations": {names.EXPORT_TO: None}}})
    await until(refused, "the Service no longer reached")

    assert {restarts for _, restarts in await fleet.identities(world, "reconciler-guest", "guest")} == {0}


async def test_one_change_is_one_patch_a_pod_and_is_measured(world, shop) -> None:
    """Only Pods with our label are known; none is out of date in the end; the change is one more in the histogram."""
    injected = [one for one in await _all_pods(world) if names.INJECTED in one["metadata"].get("labels", {})]
    concerned = [one for one in injected if one["metadata"]["namespace"] == SHOP]
    before, changes = await _patches(shop), await shop.metric(f"{CHANGE}_count", RECONCILER)

    await world.rest.patch(f"{SERVICES}/echo", {"metadata": {"annotations": {names.MAX_TIMEOUT: "77s"}}})
    await _carry(world, lambda carried: "77s" in carried[names.ROUTES])
    await until(lambda: _is(shop, f"{CHANGE}_count", changes + 1), "the change measured")

    assert await _is(shop, "evenkeel_reconciler_pods_out_of_date", 0)
    assert (
        await shop.metric("evenkeel_reconciler_pods", RECONCILER) == 2 * len(injected) < 2 * len(await _all_pods(world))
    )
    assert await _patches(shop) == {**before, "patched": before["patched"] + len(concerned)}
    assert {key: before[key] for key in ("forbidden", "refused")} == {"forbidden": 0, "refused": 0}
    assert await shop.metric(f"{CHANGE}_sum", RECONCILER) > 0
    assert await shop.metric("evenkeel_reconciler_leader", RECONCILER) == 1


async def test_pods_are_asked_for_by_our_label_and_otherwise_only_patched(world, shop, tmp_path) -> None:
    """By the API server's audit log of a reconciler's whole life, in which it lists, watches and patches."""
    log = tmp_path / "audit.log"
    await world.plane.restart_with(*_audit(log, RECONCILER))
    try:
        await shop.restart(RECONCILER)
        await world.rest.patch(f"{SERVICES}/echo", {"metadata": {"annotations": {names.MAX_TIMEOUT: "88s"}}})
        await _carry(world, lambda carried: "88s" in carried[names.ROUTES])
        await until(lambda: _is(shop, "evenkeel_reconciler_leader", 1), "one reconciler that writes")
    finally:
        await world.plane.restart_with()
    events = [json.loads(line) for line in log.read_text().splitlines()]
    asked = [event for event in events if event["objectRef"]["resource"] == "pods"]
    reads = [event["requestURI"] for event in asked if event["verb"] != "patch"]

    assert {event["verb"] for event in asked} == {"list", "watch", "patch"}
    assert {event["objectRef"].get("subresource") for event in asked} == {None}
    assert {f"labelSelector={quote(f'{names.INJECTED}={names.INJECTED_VALUE}', safe='')}" in uri for uri in reads} == {
        True
    }


def _audit(log: Path, account: str) -> list[str]:
    """Give flags for a log of everything that one of our accounts asks for about objects."""
    user = f"system:serviceaccount:{NAMESPACE}:{account}"
    rules = [{"level": "Metadata", "users": [user], "resources": [{"group": ""}]}, {"level": "None"}]
    policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}
    path = write_document(log.with_name("policy.yaml"), policy)
    return [f"--audit-policy-file={path}", f"--audit-log-path={log}"]


async def _carry(world: World, holds: Any) -> None:
    """Wait until what the live callers carry is as wanted."""

    async def all_carry() -> bool:
        return all(holds(one["metadata"]["annotations"]) for one in await world.pods(SHOP, "app=caller"))

    await until(all_carry, "carried by the live Pods")


async def _refused(world: World) -> dict[str, str]:
    """Give status and message of calls if all are refused by Envoy's routes."""
    tally = await fleet.callers(world, SHOP).run(rpcs=5)
    told = dict(error.split(": ", 1) for error in tally.errors)
    return told if tally.failed == tally.rpcs and any("no upstream" in text for text in told.values()) else {}


async def _all_pods(world: World) -> list[Json]:
    found: list[Json] = (await world.rest.get("/api/v1/pods"))["items"]
    return found


async def _patches(shop: Installed) -> dict[str, float]:
    results = ("patched", "conflict", "gone", "forbidden", "refused", "unreachable")
    return {result: await shop.metric(PATCHES, RECONCILER, result=result) for result in results}


async def _is(shop: Installed, name: str, wanted: float) -> bool:
    return await shop.metric(name, RECONCILER) == wanted


def _differences(before: Json, after: Json) -> set[str]:
    old, new = (one["metadata"]["annotations"] for one in (before, after))
    return {key for key in {*old, *new} if old.get(key) != new.get(key)}


def _but_for_ours(pod: Json) -> Json:
    found = copy.deepcopy(pod)
    for key in ("managedFields", "resourceVersion"):
        found["metadata"].pop(key, None)
    for key in names.REFRESHED:
        found["metadata"]["annotations"].pop(key, None)
    return found
