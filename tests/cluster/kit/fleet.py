"""gRPC servers and a caller in the test cluster, as documents, and what the caller finds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from tests.cluster.kit.install import scrape, until
from tests.cluster.kit.rest import Json
from tests.cluster.kit.world import World
from webhook.core import names
from webhook.core.model import Ports
from webhook.demo.calls import Callers, Tally
from webhook.node.pod import Pod

PORT: Final = 50051


def service(name: str = "echo", annotations: Mapping[str, str] | None = None) -> Json:
    """Make a headless Service of servers."""
    metadata = {"name": name, "annotations": dict(annotations or {})}
    spec = {"clusterIP": "None", "selector": {"app": name}, "ports": [{"name": "grpc", "port": PORT}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def servers(name: str = "echo", replicas: int = 3) -> Json:
    """Make a Deployment of servers without a sidecar of their own."""
    probe = {"tcpSocket": {"port": PORT}, "periodSeconds": 1}
    container = {"name": "app", "image": "grpc-echo", "args": [str(PORT)], "readinessProbe": probe}
    return _deployment(name, replicas, container, {names.INJECT: names.DISABLED}, {})


def caller(name: str = "caller", replicas: int = 1, annotations: Mapping[str, str] | None = None) -> Json:
    """Make a Deployment of callers, which are told what to do over HTTP."""
    probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    env = [{"name": "BACKEND_ADDRESS", "value": "localhost:9001"}]
    container = {"name": "app", "image": "grpc-caller", "env": env, "readinessProbe": probe}
    return _deployment(name, replicas, container, {}, annotations or {})


def live(world: World, namespace: str, name: str = "caller") -> list[Pod]:
    """Give the live Pods of a Deployment."""
    return world.kubelet.running(namespace, f"{name}-")


def callers(world: World, namespace: str, name: str = "caller") -> Callers:
    """Give the live callers."""
    return Callers(live(world, namespace, name))


async def balanced(
    world: World, namespace: str, name: str = "echo", *, caller_name: str = "caller", **spec: Any
) -> Tally:
    """Wait until a caller reaches every live server, then give what became of 100 RPCs for each."""

    async def all_reached() -> bool:
        wanted = {pod.address for pod in live(world, namespace, name)}
        # A server that has just gone may still be known. Calls of it are answered by the next one, which then has more.
        if await _known(world, namespace, name, caller_name) != {len(wanted)}:
            return False
        tally = await callers(world, namespace, caller_name).run(rpcs=4 * len(wanted), concurrency=1, **spec)
        return tally.failed == 0 and set(tally.backends) == wanted

    await until(all_reached, f"every live server of {namespace}/{name} reached, and no other")
    found = callers(world, namespace, caller_name)
    return await found.run(rpcs=100 * len(live(world, namespace, name)), concurrency=1, **spec)


async def _known(world: World, namespace: str, name: str, caller_name: str) -> set[int]:
    """Give how many servers the callers' sidecars know, by the metric that says so."""
    metric, cluster = "envoy_cluster_membership_total", f"{name}.{namespace}_{PORT}"
    where = {"port": Ports().probe, "path": "/stats/prometheus"}
    found = (
        scrape(pod.address, metric, **where, envoy_cluster_name=cluster) for pod in live(world, namespace, caller_name)
    )
    return {int(value) for value in await asyncio.gather(*found)}


def evenly(tally: Tally) -> bool:
    """Say whether all servers that answered got the same share, give or take one, and nothing failed."""
    counts = tally.backends.values()
    return tally.failed == 0 and max(counts) - min(counts) <= 1


async def identities(world: World, namespace: str, name: str = "caller") -> set[tuple[str, int]]:
    """Give uid and restarts of every container of a Deployment's Pods: what stays when nothing is restarted."""
    found = await world.pods(namespace, f"app={name}")
    fields = ("initContainerStatuses", "containerStatuses")
    return {
        (pod["metadata"]["uid"], sum(one["restartCount"] for field in fields for one in pod["status"].get(field, ())))
        for pod in found
    }


def _deployment(
    name: str, replicas: int, container: Json, labels: Mapping[str, str], annotations: Mapping[str, str]
) -> Json:
    metadata = {"labels": {"app": name, **labels}, "annotations": dict(annotations)}
    template = {"metadata": metadata, "spec": {"containers": [container], "terminationGracePeriodSeconds": 2}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
