"""What a control plane does with manifests, as far as the examples need it: Deployments become admitted Pods."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from webhook.core import names
from webhook.demo.admission import DemoError, Webhook
from webhook.demo.control_plane import ControlPlane
from webhook.node.node import Node
from webhook.node.pod import Pod as RunningPod

_READY_SECONDS: Final = 60.0
_CATALOG_SECONDS: Final = 15.0


class Deployment:
    """A Deployment and its live Pods."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.name: str = document["metadata"]["name"]
        self.namespace: str = document["metadata"]["namespace"]
        self.pods: list[RunningPod] = []
        self.ready_at: dict[str, float] = {}
        """Address -> unix time at which its Pod became ready."""

    @property
    def addresses(self) -> list[str]:
        """Give the addresses of the live Pods."""
        return [pod.address for pod in self.pods]


class Cluster:
    """Applies manifests to a Node; Pods of labelled namespaces pass the webhook first.

    A control plane is told of Services and followed Pods, and knows Pods by their tokens.
    """

    def __init__(self, node: Node, webhook: Webhook, control_plane: ControlPlane | None = None) -> None:
        self._node = node
        self._webhook = webhook
        self._control_plane = control_plane
        self._namespaces: dict[str, Mapping[str, Any]] = {}
        self._services: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._sent: dict[str, dict[str, Any]] = {}
        self.deployments: dict[tuple[str, str], Deployment] = {}

    async def apply(self, documents: Iterable[Mapping[str, Any]], *, namespace: str) -> None:
        """Apply Namespaces, then Services, then Deployments, whose Pods are waited for until they are ready."""
        by_kind: dict[str, list[Mapping[str, Any]]] = {}
        for document in documents:
            by_kind.setdefault(document["kind"], []).append(_in(document, namespace))
        for document in by_kind.get("Namespace", []):
            name = document["metadata"]["name"]
            self._namespaces[name] = document
            self._write(f"Namespace.{name}", document)
        if services := by_kind.get("Service", []):
            await self._apply_services(services)
        await asyncio.gather(*(self._apply_deployment(document) for document in by_kind.get("Deployment", [])))

    async def _apply_services(self, services: list[Mapping[str, Any]]) -> None:
        for service in services:
            metadata = service["metadata"]
            self._services[metadata["namespace"], metadata["name"]] = service
            if service["spec"].get("clusterIP"):
                self._node.services.apply(service)
            self._write(f"{metadata['namespace']}.{metadata['name']}", service)
        if self._control_plane is not None:
            self._control_plane.put([*self._namespaces.values(), *self._services.values()])
        await self._catalog_seen()

    def _write(self, name: str, document: Mapping[str, Any]) -> None:
        file = self._webhook.catalog / f"{name}.json"
        hidden = file.with_suffix(".tmp")
        hidden.write_text(json.dumps(document))
        hidden.replace(file)

    async def _catalog_seen(self) -> None:
        """Wait until the webhook has read as many Services as there are."""
        end = time.monotonic() + _CATALOG_SECONDS
        while await self._webhook.metric("evenkeel_catalog_services") != len(self._services):
            if time.monotonic() > end:
                raise DemoError(f"the webhook has not read the Services after {_CATALOG_SECONDS:.0f} s")
            await asyncio.sleep(0.1)

    async def _apply_deployment(self, document: Mapping[str, Any]) -> None:
        deployment = Deployment(document)
        self.deployments[deployment.namespace, deployment.name] = deployment
        await self.scale(deployment, document["spec"].get("replicas", 1))

    async def scale(self, deployment: Deployment, replicas: int) -> None:
        """Add Pods until so many are ready, or delete the newest."""
        missing = replicas - len(deployment.pods)
        if missing > 0:
            await asyncio.gather(*(self.add(deployment) for _ in range(missing)))
        leaving, deployment.pods = deployment.pods[replicas:], deployment.pods[:replicas]
        await asyncio.gather(*(self._delete(pod) for pod in leaving))

    async def add(self, deployment: Deployment) -> RunningPod:
        """Create one Pod, admitted where its namespace says so, and wait until it is ready."""
        document = self._pod(deployment)
        self._sent[document["metadata"]["uid"]] = document
        if self._control_plane is not None:
            self._control_plane.tokens.issue(document)
        admitted = (await self._webhook.admit(document)).pod if self._selected(document) else document
        pod = await self._node.run(admitted)
        if self._control_plane is not None:
            self._control_plane.follow(pod)
        deployment.pods.append(pod)
        await pod.wait_ready(_READY_SECONDS)
        deployment.ready_at[pod.address] = time.time()
        return pod

    async def replace_one_at_a_time(self, deployment: Deployment, *, min_ready_seconds: float = 0) -> None:
        """Replace every Pod: a new one is ready for a while before an old one is told to stop.

        As a Deployment with `maxUnavailable: 0` and `maxSurge: 1`: nothing waits for an old one to be gone.
        """
        async with asyncio.TaskGroup() as leaving:
            for pod in list(deployment.pods):
                await self.add(deployment)
                await asyncio.sleep(min_ready_seconds)
                deployment.pods.remove(pod)
                leaving.create_task(self._delete(pod))

    async def replace_all_at_once(self, deployment: Deployment) -> None:
        """Replace every Pod: all new ones are ready, then all old ones are told to stop together."""
        old, deployment.pods = deployment.pods, []
        await asyncio.gather(*(self.add(deployment) for _ in old))
        await asyncio.gather(*(self._delete(pod) for pod in old))

    async def delete(self, namespace: str) -> None:
        """Delete the Deployments of a namespace with their Pods, without patience."""
        leaving = [self.deployments.pop(key) for key in list(self.deployments) if key[0] == namespace]
        pods = [pod for deployment in leaving for pod in deployment.pods]
        await asyncio.gather(*(self._delete(pod, grace=1) for pod in pods))

    async def render_anew(self, deployment: Deployment) -> None:
        """Give every live Pod the configuration that it would be given now."""
        for pod in deployment.pods:
            admitted = await self._webhook.admit(self._sent[pod.document["metadata"]["uid"]])
            annotations = admitted.pod["metadata"]["annotations"]
            await pod.annotate({key: annotations[key] for key in names.WRITTEN if key in annotations})

    async def _delete(self, pod: RunningPod, grace: float | None = None) -> None:
        self._sent.pop(pod.document["metadata"]["uid"], None)
        await pod.delete(grace)
        if self._control_plane is not None:
            self._control_plane.tokens.revoke(pod.document)

    def _selected(self, pod: Mapping[str, Any]) -> bool:
        """Say what the selectors of the webhook's configuration would."""
        namespace = self._namespaces.get(pod["metadata"]["namespace"], {})
        own, wide = ((each.get("metadata", {}).get("labels") or {}).get(names.INJECT) for each in (pod, namespace))
        return names.DISABLED not in (own, wide) and names.ENABLED in (own, wide)

    def _pod(self, deployment: Deployment) -> dict[str, Any]:
        template = copy.deepcopy(deployment.document["spec"]["template"])
        name = f"{deployment.name}-{next(self._numbers):05d}"
        metadata = {**template.get("metadata", {}), "name": name, "namespace": deployment.namespace}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**metadata, "uid": str(uuid.uuid4())},
            "spec": template["spec"],
        }


def _in(document: Mapping[str, Any], namespace: str) -> Mapping[str, Any]:
    if document["kind"] == "Namespace":
        return document
    return {**document, "metadata": {"namespace": namespace, **document["metadata"]}}
