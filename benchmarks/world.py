"""A cluster on this machine, as the demo has it: the webhook as a process, a node, and what is applied to both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from envoys import find_envoy, wait_answering
from things import CALLER, ECHO, caller

from webhook.core import names
from webhook.core.configuration import annotation_bytes
from webhook.demo.admission import Webhook
from webhook.demo.cluster import Cluster
from webhook.demo.images import images, program
from webhook.node.node import Node
from webhook.node.pod import Pod

_READY_SECONDS: Final = 60.0
_RUN_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller Pod with its sidecar."""

    pod: Pod
    envoy: int
    """The process id of its sidecar."""
    seconds_to_ready: float
    """From the sidecar's start until it says that it is ready."""

    @property
    def annotation_bytes(self) -> int:
        """Give the size of the configuration that the Pod carries."""
        annotations = self.pod.document["metadata"]["annotations"]
        return annotation_bytes({key: annotations[key] for key in names.WRITTEN if key in annotations})

    async def run(self, **spec: Any) -> dict[str, Any]:
        """Let it make RPCs; `spec` and the answer are as examples/echo/gateway.py says."""
        async with httpx.AsyncClient(trust_env=False, timeout=_RUN_SECONDS) as client:
            answer = await client.post(f"http://{self.pod.address}:8080/run", json=spec)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document


class World:
    """Applies manifests and runs callers."""

    def __init__(self, webhook: Webhook, node: Node) -> None:
        self._webhook = webhook
        self._node = node
        self._cluster = Cluster(node, webhook)

    async def apply(self, documents: Sequence[Mapping[str, Any]], namespace: str) -> None:
        """Apply manifests and wait until their Pods are ready."""
        await self._cluster.apply(documents, namespace=namespace)

    def addresses(self, namespace: str, app: str) -> list[str]:
        """Give the addresses of a Deployment's Pods."""
        return self._cluster.deployments[namespace, app].addresses

    async def start_caller(self, name: str, namespace: str) -> Caller:
        """Admit a caller Pod, run it, and time its sidecar's start."""
        admitted = await self._webhook.admit(caller(name, namespace))
        pod = await self._node.run(admitted.pod)
        answering = await wait_answering(pod.address)
        began = pod.statuses[names.SIDECAR].started_at
        assert began is not None
        await pod.wait_ready(_READY_SECONDS)
        return Caller(pod, find_envoy(name, namespace), answering - began)


@asynccontextmanager
async def made(folder: Path) -> AsyncIterator[World]:
    """Start the webhook and a node; leaving it stops both and every Pod."""
    known = {
        **images(folder),
        ECHO: program(folder / ECHO, "server.py"),
        CALLER: program(folder / CALLER, "gateway.py"),
    }
    async with Webhook(folder) as webhook, Node(images=known, folder=folder / "pods") as node:
        yield World(webhook, node)
