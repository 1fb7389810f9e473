"""The node: where Pods are run."""

import asyncio
import copy
import ipaddress
import secrets
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from webhook.node import etc, sandbox, zone
from webhook.node.dns import DnsServer, Views
from webhook.node.errors import NodeError
from webhook.node.fields import PodView
from webhook.node.image import Image, Images
from webhook.node.launch import Launch, Room
from webhook.node.network import GATEWAY, Network, PodNetwork
from webhook.node.pod import Pod
from webhook.node.services import Services
from webhook.node.store import Contents, Store
from webhook.node.volumes import Volumes

_DEFAULT_GRACE: Final = 30.0
_NODE_NAME: Final = "evenkeel-node"


class Node:
    """Runs Pods inside a sandbox (`python -m webhook.node.sandbox`) while it is entered; one per sandbox.

    Leaving it deletes every Pod, and no process, namespace, mount or file stays behind. Containers see the machine's
    files read-only, under what their image puts over them; only new files of their own root and /tmp are theirs.

    Not done here: limits of CPU and memory, capabilities, seccomp and AppArmor (a container that runs as root has the
    sandbox's rights, any other none), fsGroup, shareProcessNamespace, readiness gates, Services with an address.
    """

    def __init__(
        self, *, images: Mapping[str, Image], fallback: Callable[[str], Image | None] | None = None,
        cluster_domain: str = "cluster.local", folder: Path | None = None, dns_ttl: int = 30,
        dns_staleness: float = 0.0, projection_delay: float = 0.0, closing_grace: float = 0.5,
        config_maps: Contents | None = None, secrets: Contents | None = None, tokens: Contents | None = None,
    ) -> None:  # fmt: skip
        self.cluster_domain = cluster_domain
        self.services = Services(self._publish)
        self.dns = DnsServer(Views(zone.Zone(cluster_domain.lower()), dns_staleness), dns_ttl)
        self.pods: dict[str, Pod] = {}
        """Those that have not been deleted, by `NAMESPACE/NAME`."""
        self._images = Images(images, fallback)
        # The caller may fill them while the node runs, so empty ones are kept too.
        self._store = Store(*({} if given is None else given for given in (config_maps, secrets, tokens)))
        self._given_folder = folder
        self._folder = Path()
        self._projection_delay = projection_delay
        self._closing_grace = closing_grace
        self._network = Network()
        self._networks: dict[str, PodNetwork] = {}

    async def __aenter__(self) -> Self:
        if not sandbox.inside():
            raise NodeError("a node runs in a sandbox: start the program by `python -m webhook.node.sandbox -- ...`")
        if self._given_folder is not None:
            self._given_folder.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="node-", dir=self._given_folder))
        try:
            await self._network.open()
            await self.dns.open(GATEWAY)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await asyncio.gather(*(pod.evict(self._closing_grace) for pod in list(self.pods.values())))
        finally:
            await self._close()

    async def run(self, document: Mapping[str, Any]) -> Pod:
        """Run a Pod as admitted; returns when it has its address and its containers begin to start.

        NodeError says what of it this node cannot do; nothing of the Pod is left then.
        """
        named = _named(document)
        launches_of = self._images_of(named)
        name = f"{named['metadata']['namespace']}/{named['metadata']['name']}"
        if name in self.pods:
            raise NodeError(f"pod {name} runs already")
        view = PodView(named, "", GATEWAY, _NODE_NAME)
        network = await self._network.attach(view.hostname)
        folder = self._folder / named["metadata"]["uid"]
        try:
            pod = self._admit(named, launches_of, network, folder)
        except BaseException:
            await self._network.detach(network)
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self.pods[name], self._networks[name] = pod, network
        pod.start()
        return pod

    def _admit(
        self, document: dict[str, Any], images: list[tuple[dict[str, Any], Image]], network: PodNetwork, folder: Path
    ) -> Pod:
        holder: list[Pod] = []
        room = Room(
            folder, network.address, network.namespaces, Volumes(folder / "volumes", self._store), self._store,
            # The document of the moment: annotations change while the Pod runs.
            view=lambda: PodView(holder[0].document, network.address, GATEWAY, _NODE_NAME), grace=_grace(document),
        )  # fmt: skip
        launches = [Launch(container, image, room) for container, image in images]
        pod = Pod(
            document, launches, room, changed=self._publish, leave=self._leave, projection_delay=self._projection_delay
        )
        holder.append(pod)
        self._write_etc(room)
        room.volumes.create(room.view())
        return pod

    def _write_etc(self, room: Room) -> None:
        view = room.view()
        for name in ("etc", "logs", "roots", "volumes"):
            (room.folder / name).mkdir(parents=True, exist_ok=True)
        (room.folder / "etc" / "hosts").write_text(etc.hosts(view, self.cluster_domain))
        (room.folder / "etc" / "hostname").write_text(view.hostname + "\n")
        (room.folder / "etc" / "resolv.conf").write_text(etc.resolv_conf(view, self.cluster_domain, GATEWAY))

    def _images_of(self, document: Mapping[str, Any]) -> list[tuple[dict[str, Any], Image]]:
        spec = document["spec"]
        found = [*(spec.get("initContainers") or ()), *spec["containers"]]
        return [(container, self._images.find(container["image"])) for container in found]

    async def _leave(self, pod: Pod) -> None:
        self.pods.pop(pod.name, None)
        self._publish()
        if network := self._networks.pop(pod.name, None):
            await self._network.detach(network)

    def _publish(self) -> None:
        endpoints = [endpoint for pod in self.pods.values() if (endpoint := pod.endpoint())]
        endpoints.sort(key=lambda one: ipaddress.ip_address(one.address))
        self.dns.views.publish(zone.build(self.services.all(), endpoints, self.cluster_domain))

    async def _close(self) -> None:
        try:
            await self.dns.close()
            await self._network.close()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


def _named(document: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the document and give it the names that an API server would have given."""
    pod = copy.deepcopy(dict(document))
    metadata = pod.setdefault("metadata", {})
    if not metadata.get("name"):
        if not metadata.get("generateName"):
            raise NodeError("a pod needs metadata.name or metadata.generateName")
        metadata["name"] = metadata["generateName"] + secrets.token_hex(3)[:5]
    metadata.setdefault("namespace", "default")
    metadata.setdefault("uid", str(uuid.uuid4()))
    if pod["spec"].get("hostNetwork"):
        name = f"{metadata['namespace']}/{metadata['name']}"
        raise NodeError(f"pod {name}: hostNetwork is true; this node gives every Pod a network of its own")
    return pod


def _grace(document: Mapping[str, Any]) -> float:
    seconds = document["spec"].get("terminationGracePeriodSeconds")
    return _DEFAULT_GRACE if seconds is None else float(seconds)
