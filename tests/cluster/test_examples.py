"""The applications of examples/, applied as they are: through Deployments and ReplicaSets into injected Pods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cluster.kit.install import injected, until
from tests.cluster.kit.rest import documents
from webhook.core import names
from webhook.demo.calls import Callers

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

EXAMPLES = Path(__file__).parents[2] / "examples"
PODS = {
    "hoge": {"hoge-app": 5, "hoge-gateway": 4},
    "ticketing": {"app-server": 2, "app-client": 1},
    "frontend": {"be1-deployment": 2, "be2-deployment": 2, "fe-deployment": 1},
}
"""What each of them runs."""
RPCS = 500


async def test_no_example_is_forgotten() -> None:
    """Every folder with manifests is among those below."""
    assert set(PODS) == {path.parent.name for path in EXAMPLES.glob("*/kustomization.yaml")}


@pytest.mark.parametrize("example", PODS)
async def test_every_deployment_comes_out_as_injected_pods(world, evenkeel, example) -> None:
    """Every Pod of every ReplicaSet, with nothing of the manifests changed for it, and without a warning."""
    namespace = f"examples-{example}"
    await world.namespace(namespace, {names.INJECT: "enabled"})
    wanted = PODS[example]

    told = await world.apply(_manifests(example), namespace=namespace)
    pods = await until(lambda: _pods(world, namespace, sum(wanted.values())), f"{wanted} in {namespace}")

    assert told == []
    assert _per_deployment(pods) == wanted
    assert [one["metadata"]["name"] for one in pods if not injected(one)] == []
    assert {one["metadata"]["labels"][names.INJECTED] for one in pods} == {names.INJECTED_VALUE}
    await world.delete(_manifests(example), namespace=namespace)


async def test_the_calls_of_pods_from_the_api_server_are_even(world, evenkeel) -> None:
    """4 gateways call 5 servers by their sidecars, configured though the Deployments came before their Services."""
    await world.namespace("examples-run", {names.INJECT: "enabled"}, run=True)
    manifests = _manifests("hoge")
    await world.apply([one for one in manifests if one["kind"] == "Deployment"], namespace="examples-run")
    for deployment in PODS["hoge"]:
        await world.available("examples-run", deployment)
    await world.apply([one for one in manifests if one["kind"] == "Service"], namespace="examples-run")
    gateways = world.kubelet.running("examples-run", "hoge-gateway")
    await until(lambda: _each_reaches([Callers([one]) for one in gateways], 5), "reaching all servers")

    tally = await Callers(gateways).run(rpcs=RPCS)

    print(f"4 gateways, {tally.rpcs} RPCs over 5 servers: {sorted(tally.backends.values())}, {tally.failed} failed")
    assert (tally.rpcs, tally.failed) == (4 * RPCS, 0)
    assert set(tally.backends) == {one.address for one in world.kubelet.running("examples-run", "hoge-app")}
    assert max(tally.backends.values()) <= 1.02 * min(tally.backends.values())
    await world.delete(manifests, namespace="examples-run")
    await world.gone("examples-run")


def _manifests(example: str) -> list[Any]:
    """Give what `kubectl apply -f` of the example's folder applies; the namespace is the test's own."""
    paths = sorted((EXAMPLES / example).glob("*.yaml"))
    found = [one for path in paths if path.name != "kustomization.yaml" for one in documents(path)]
    return [one for one in found if one["kind"] != "Namespace"]


async def _pods(world: Any, namespace: str, count: int) -> list[Any]:
    found: list[Any] = await world.pods(namespace)
    return found if len(found) == count else []


def _per_deployment(pods: list[Any]) -> dict[str, int]:
    """Count Pods by the Deployment whose ReplicaSet owns them."""
    found: dict[str, int] = {}
    for one in pods:
        (owner,) = one["metadata"]["ownerReferences"]
        assert owner["kind"] == "ReplicaSet"
        deployment = owner["name"].removesuffix(f"-{one['metadata']['labels']['pod-template-hash']}")
        found[deployment] = found.get(deployment, 0) + 1
    return found


async def _each_reaches(callers: list[Callers], servers: int) -> bool:
    """Say whether every caller has answers of all the servers."""
    tallies = [await one.run(rpcs=4 * servers) for one in callers]
    return all(len(tally.backends) == servers and not tally.failed for tally in tallies)
