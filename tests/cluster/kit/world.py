"""A whole cluster on this machine: the real control plane, and a node that runs its Pods."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.cluster.kit.contents import Given
from tests.cluster.kit.controlplane import ControlPlane, Paths
from tests.cluster.kit.kubelet import Kubelet
from tests.cluster.kit.rest import Json, Rest, RestError, until
from webhook import __version__
from webhook.demo.images import images, program
from webhook.node.image import Image
from webhook.node.network import GATEWAY
from webhook.node.node import Node

IMAGE: Final = f"docker.io/evenkeel/evenkeel:{__version__}"
_NOT_FOUND: Final = 404
_NOBODY: Final = 65532
_ORDER: Final = ("Namespace", "CustomResourceDefinition", "ServiceAccount", "ClusterRole", "Role", "PriorityClass")
"""Kinds that others need, so applied before them."""


class World:
    """Started on entering; `run_pods_of` names the namespaces whose Pods the node runs."""

    def __init__(self, folder: Path, programs: Paths, *, more_images: Mapping[str, Image] | None = None) -> None:
        self.plane = ControlPlane(folder / "plane", programs, address=GATEWAY)
        self.rest: Rest
        self.admin: Rest
        self.node: Node
        self.kubelet: Kubelet
        self.run_pods_of: set[str] = set()
        self.images: dict[str, Image] = {}
        """What the node can run, by name; more may be put in at any time."""
        self._folder = folder
        self._more = more_images or {}
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start the node's network, then the control plane, then the kubelet."""
        enter = self._stack.enter_async_context
        try:
            self.rest = await enter(Rest(self.plane.kubeconfig))
            given = Given(self.rest)
            self.images |= self._images()
            self.node = await enter(
                Node(
                    images=self.images,
                    folder=self._folder / "pods",
                    config_maps=given.config_maps,
                    secrets=given.secrets,
                    tokens=given.tokens.by_pod,
                )
            )
            await enter(self.plane)
            self.kubelet = await enter(Kubelet(self.rest, self.node, given, wants=self._wants))
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything, the last begun first."""
        await self._stack.aclose()

    async def apply(self, documents: Iterable[Json], *, namespace: str = "default") -> list[str]:
        """Apply manifests as `kubectl apply --server-side` does, and give what was warned of."""
        told: list[str] = []
        ordered = sorted(documents, key=lambda one: _ORDER.index(one["kind"]) if one["kind"] in _ORDER else len(_ORDER))
        for document in ordered:
            _, warnings = await self.rest.apply(document, namespace=namespace)
            told += warnings
        return told

    async def delete(self, documents: Iterable[Json], *, namespace: str = "default") -> None:
        """Delete what manifests name; what is gone already is no matter."""
        for document in documents:
            with gone():
                await self.rest.delete(await self.rest.path_of(document, namespace))

    async def namespace(self, name: str, labels: Mapping[str, str] | None = None, *, run: bool = False) -> None:
        """Create a namespace in which Pods can be created; `run`: and are run."""
        if run:
            self.run_pods_of.add(name)
        await self.plane.namespace(name, labels)

    async def ensure(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Create a namespace if it is not there."""
        if not await self.exists(f"/api/v1/namespaces/{name}"):
            await self.namespace(name, labels)

    async def exists(self, path: str) -> bool:
        """Say whether there is an object."""
        try:
            await self.rest.get(path)
        except RestError as error:
            if error.status != _NOT_FOUND:
                raise
            return False
        return True

    async def available(self, namespace: str, deployment: str, *, limit: float = 90) -> None:
        """Wait until a Deployment has all its replicas available, and no others."""
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"
        try:
            await until(self.rest, path, _is_available, limit=limit)
        except TimeoutError as error:
            words = [pod.describe() for pod in self.kubelet.running(namespace, deployment)]
            raise TimeoutError("\n".join([str(error), *words])) from None

    async def pods(self, namespace: str, selector: str = "") -> list[Json]:
        """Give the Pods of a namespace as the API server has them."""
        listed = await self.rest.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)
        found: list[Json] = listed["items"]
        return found

    async def gone(self, namespace: str, selector: str = "", *, limit: float = 60) -> None:
        """Wait until no Pod of a namespace is left."""
        async with asyncio.timeout(limit):
            while await self.pods(namespace, selector):
                await asyncio.sleep(0.1)

    def _wants(self, pod: Json) -> bool:
        return pod["metadata"]["namespace"] in self.run_pods_of

    def _images(self) -> dict[str, Image]:
        server, port = self.plane.server.removeprefix("https://").split(":")
        env = {"KUBERNETES_SERVICE_HOST": server, "KUBERNETES_SERVICE_PORT": port, "PYTHONDONTWRITEBYTECODE": "1"}
        evenkeel = Path(sys.executable).with_name("evenkeel")
        ours = Image(
            files={"/usr/local/bin/evenkeel": evenkeel},
            entrypoint=("/usr/local/bin/evenkeel",),
            cmd=("serve",),
            env=env,
            user=_NOBODY,
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        return {
            IMAGE: ours,
            **images(self._folder),
            "grpc-echo": program(self._folder / "grpc-echo", "server.py"),
            "grpc-caller": program(self._folder / "grpc-caller", "gateway.py"),
            "grpc-python": self._python(),
            **self._more,
        }

    def _python(self) -> Image:
        """Give an image whose python3 has grpcio: a script, since a copied interpreter does not find its modules."""
        script = self._folder / "python3"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        script.chmod(0o755)
        return Image(files={"/usr/local/bin/python3": script}, entrypoint=())


def _is_available(deployment: Json) -> bool:
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    counts = (status.get(field, 0) for field in ("replicas", "updatedReplicas", "availableReplicas"))
    return seen and all(count == wanted for count in counts)


@contextlib.contextmanager
def gone() -> Iterator[None]:
    """Pass over that something is not there."""
    try:
        yield
    except RestError as error:
        if error.status != _NOT_FOUND:
            raise
