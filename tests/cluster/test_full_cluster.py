"""Evenness seen from inside the Pods, asking nothing but the API server.

With EVENKEEL_E2E_KUBECONFIG (and EVENKEEL_E2E_IMAGE, an image with python3 and grpcio) this runs on that cluster, where
Evenkeel is installed; without, on the node of the tests.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.kit import command
from tests.cluster.kit.full import OWN_IMAGE, FullCluster, given
from tests.cluster.kit.install import injected, until
from tests.cluster.kit.rest import Rest

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]


# Which fixtures there are to ask for is known before any begins: an asynchronous one cannot be asked for later.
if (_NAMED := given()) is None:

    @pytest_asyncio.fixture(scope="module", loop_scope="session")
    async def cluster(world, evenkeel) -> FullCluster:
        """Give our own cluster."""
        return FullCluster(world.rest, world.plane.kubeconfig, OWN_IMAGE, world.run_pods_of)

else:

    @pytest_asyncio.fixture(scope="module", loop_scope="session")
    async def cluster() -> AsyncIterator[FullCluster]:
        """Give the cluster that is named."""
        async with Rest(_NAMED[0]) as rest:
            yield FullCluster(rest, *_NAMED)


@pytest.fixture
def name() -> str:
    """Give a namespace's name that nobody has used."""
    return f"full-{uuid.uuid4().hex[:8]}"


def _service(**annotations: str) -> dict[str, Any]:
    spec = {"clusterIP": "None", "selector": {"app": "server"}, "ports": [{"name": "grpc", "port": 50051}]}
    metadata = {"name": "server", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


async def test_nothing_is_wrong_with_the_installation(cluster) -> None:
    """Says `evenkeel check`, whose last line is a dry-run Pod."""
    found = await command.checked(cluster.kubeconfig)

    wrong = {key: one["found"] for key, one in found.items() if one["result"] == "failed"}
    assert wrong == {}


async def test_callers_before_their_service_end_even(cluster, name) -> None:
    """The callers are applied first; the same Pods then reach every server alike, and follow 5 -> 10."""
    async with cluster.namespace(name):
        await cluster.deploy(name, "caller", 2, "gateway.py")
        await cluster.deploy(name, "server", 5, "server.py", "50051")
        before = await cluster.pods(name, "caller")
        await cluster.rest.apply(_service(), namespace=name)
        await _reached(cluster, name, 5)
        first = await _spread(cluster, name)

        await cluster.deploy(name, "server", 10, "server.py", "50051")
        await _reached(cluster, name, 10)
        second = await _spread(cluster, name)

        after = await cluster.pods(name, "caller")

    assert all(map(injected, before))
    assert {pod["metadata"]["uid"] for pod in before} == {pod["metadata"]["uid"] for pod in after}
    assert [len(one) for one in (first, second)] == [5, 10]
    # Each of two callers goes round from a place of its own.
    assert all(max(one.values()) - min(one.values()) <= 2 for one in (first, second)), (first, second)


async def _reached(cluster: FullCluster, namespace: str, servers: int) -> None:
    """Wait until every caller reaches so many servers."""

    async def all_reach() -> bool:
        pods = await cluster.pods(namespace, "caller")
        ran = [await cluster.call(namespace, pod, rpcs=5 * servers) for pod in pods]
        return all(len(one["backends"]) == servers and not one["failed"] for one in ran)

    await until(all_reach, f"every caller reaches {servers} servers", limit=60)


async def _spread(cluster: FullCluster, namespace: str) -> dict[str, int]:
    """Give how many of 1,000 RPCs of each caller every server answered, over one channel at a time."""
    found: dict[str, int] = {}
    for pod in await cluster.pods(namespace, "caller"):
        ran = await cluster.call(namespace, pod, rpcs=1000, concurrency=1)
        assert ran["failed"] == 0, ran["errors"]
        for address, count in ran["backends"].items():
            found[address] = found.get(address, 0) + count
    return found
