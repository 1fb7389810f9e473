"""Evenkeel is taken away by one command, and nobody's calls notice."""

from __future__ import annotations

import pytest

from tests.cluster.kit import fleet
from tests.cluster.kit.install import NAMESPACE, injected, installed, pod, render, until
from tests.cluster.kit.obtain import obtain
from tests.cluster.kit.rest import Json
from tests.cluster.kit.stream import stream
from tests.cluster.kit.sweep import ours
from tests.cluster.kit.world import World
from webhook.core import names

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

SHOP = "uninstall-shop"
PODS = f"/api/v1/namespaces/{SHOP}/pods"


@pytest.fixture
def objects() -> list[Json]:
    """Give what `kubectl apply -k deploy/overlays/self-managed` applies."""
    return render(obtain("kustomize")["kustomize"], "self-managed")


async def test_pods_go_on_calling_new_ones_start_bare_and_nothing_of_ours_stays(world, objects) -> None:
    """While a caller makes RPCs and Pods are created; deleted in the manifests' order, as `kubectl delete -k` does."""
    before = await ours(world.rest)
    async with installed(world, objects) as evenkeel:
        await _have_shop(world, SHOP)
        there = await ours(world.rest)
        same = await fleet.identities(world, SHOP)
        carried = await _carried(world)
        await world.namespace("uninstall-stream", {names.INJECT: names.ENABLED})
        async with (
            fleet.callers(world, SHOP).load("uninstalling", rate=100) as tally,
            stream(world.rest, "uninstall-stream") as pods,
        ):
            await pods.goes_on()
            await world.delete(evenkeel.objects)
            await until(lambda: _gone(world), f"namespace {NAMESPACE} gone", limit=90)
            await pods.goes_on()
            left = await ours(world.rest)
            created, warnings = await world.rest.post_with_warnings(PODS, pod(name="new"))
        evened = await fleet.balanced(world, SHOP)

    assert before == set()
    assert {_name(one) for one in objects} <= there
    assert left == set()
    assert (injected(created), warnings) == (False, ())
    assert (pods.failed, pods.asked) == (0, pods.injected + pods.bare)
    assert pods.injected >= 20 <= pods.bare
    assert (tally.failed, dict(tally.errors)) == (0, {})
    assert tally.rpcs > 300
    assert fleet.evenly(evened)
    assert await fleet.identities(world, SHOP) == same
    assert await _carried(world) == carried


async def test_after_uninstalling_a_deployment_s_new_pods_run_without_a_sidecar(world, objects) -> None:
    """And those that were there before keep theirs, beside them."""
    async with installed(world, objects):
        await _have_shop(world, "uninstall-later")
    path = "/apis/apps/v1/namespaces/uninstall-later/deployments/caller"

    await world.rest.patch(path, {"spec": {"replicas": 2}})
    await world.available("uninstall-later", "caller")

    found = await world.pods("uninstall-later", "app=caller")
    assert sorted(injected(one) for one in found) == [False, True]
    bare = next(one for one in found if not injected(one))
    assert names.INJECTED not in bare["metadata"]["labels"]


async def _have_shop(world: World, namespace: str) -> None:
    """Have servers and an injected caller that reaches all of them."""
    await world.namespace(namespace, {names.INJECT: names.ENABLED}, run=True)
    await world.apply([fleet.service(), fleet.servers(), fleet.caller()], namespace=namespace)
    for name in ("echo", "caller"):
        await world.available(namespace, name)
    await fleet.balanced(world, namespace)


async def _carried(world: World) -> list[dict[str, str]]:
    return [one["metadata"]["annotations"] for one in await world.pods(SHOP, "app=caller")]


async def _gone(world: World) -> bool:
    return not await world.exists(f"/api/v1/namespaces/{NAMESPACE}")


def _name(document: Json) -> str:
    """Give an object's name as `ours` does."""
    kind, metadata = document["kind"].lower(), document["metadata"]
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}es" if kind.endswith("s") else f"{kind}s"
    return "/".join(filter(None, (plural, metadata.get("namespace", ""), metadata["name"])))
