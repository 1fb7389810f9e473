"""A cluster with nodes and images: the one that is given, or the one that the tests run here."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.cluster.kit.install import ROOT, until
from tests.cluster.kit.rest import Json, Rest
from webhook.core import names

KUBECONFIG: Final = "EVENKEEL_E2E_KUBECONFIG"
IMAGE: Final = "EVENKEEL_E2E_IMAGE"
OWN_IMAGE: Final = "grpc-python"
_LIMIT: Final = 180.0


@dataclass(frozen=True, slots=True)
class FullCluster:
    """Where Pods really run; only its API server is asked."""

    rest: Rest
    kubeconfig: Path
    image: str
    """Has `python3` with grpcio; the programs of examples/echo are mounted into it."""
    run_pods_of: set[str] = field(default_factory=set)
    """Where our own node runs Pods; a given cluster has nodes of its own."""

    @asynccontextmanager
    async def namespace(self, name: str) -> AsyncIterator[str]:
        """Have a labelled namespace with the programs for a while."""
        self.run_pods_of.add(name)
        metadata = {"name": name, "labels": {names.INJECT: names.ENABLED}}
        await self.rest.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        try:
            data = {each: (ROOT / "examples" / "echo" / each).read_text() for each in ("server.py", "gateway.py")}
            programs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "echo"}, "data": data}
            await self.rest.apply(programs, namespace=name)
            account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
            await until(lambda: self.rest.get(account), f"{account} there", limit=_LIMIT)
            yield name
        finally:
            await self.rest.delete(f"/api/v1/namespaces/{name}")

    async def deploy(self, namespace: str, name: str, replicas: int, *words: str) -> None:
        """Apply a Deployment of one of the programs and wait until all its Pods, and no others, are ready."""
        await self.rest.apply(self._deployment(name, replicas, words), namespace=namespace)
        await until(lambda: self._settled(namespace, name, replicas), f"{name} has {replicas} Pods ready", limit=_LIMIT)

    async def pods(self, namespace: str, name: str) -> list[Json]:
        """Give a Deployment's Pods that are not about to go."""
        listed = await self.rest.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=f"app={name}")
        return [pod for pod in listed["items"] if "deletionTimestamp" not in pod["metadata"]]

    async def call(self, namespace: str, pod: Json, **spec: Any) -> Json:
        """Have a caller Pod make calls from inside, and give what became of them; see examples/echo/gateway.py."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}:8080/proxy/run"
        found: Json = await self.rest.post(path, {"target": "localhost:9001", **spec})
        return found

    async def _settled(self, namespace: str, name: str, replicas: int) -> bool:
        pods = await self.pods(namespace, name)
        return len(pods) == replicas and all(map(_ready, pods))

    def _deployment(self, name: str, replicas: int, words: tuple[str, ...]) -> Json:
        port = 50051 if words[0] == "server.py" else 8080
        container = {
            "name": "app",
            "image": self.image,
            "command": ["python3", f"/echo/{words[0]}", *words[1:]],
            "ports": [{"containerPort": port}],
            "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
            "volumeMounts": [{"name": "echo", "mountPath": "/echo"}],
        }
        volumes = [{"name": "echo", "configMap": {"name": "echo"}}]
        template = {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 15},
        }
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def given() -> tuple[Path, str] | None:
    """Give the kubeconfig and image of a cluster named by the environment, or None; AssertionError if half is named."""
    kubeconfig, image = os.environ.get(KUBECONFIG), os.environ.get(IMAGE)
    if kubeconfig is None:
        return None
    assert image, f"{KUBECONFIG} names a cluster; {IMAGE} must name an image with python3 and grpcio that it can pull"
    return Path(kubeconfig), image


def _ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
