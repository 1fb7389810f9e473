"""What a kubelet and a scheduler do with the Pods of the test control plane, on the node that runs them here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx

from tests.cluster.kit.contents import Given
from tests.cluster.kit.pod_status import NODE_NAME, node_document, node_status, pod_status
from tests.cluster.kit.rest import STRATEGIC, Json, Rest, RestError
from webhook.node.errors import NodeError
from webhook.node.network import GATEWAY
from webhook.node.node import Node
from webhook.node.pod import Pod

_CONTENT_SECONDS: Final = 1.0
"""How often Secrets and ConfigMaps of running Pods are read again; a kubelet takes a minute."""
_RETRY_SECONDS: Final = 0.3
_ITS_TROUBLES: Final = 500
"""Statuses from here on are the API server's own troubles, as at its start."""


class Kubelet:
    """Binds the Pods that it wants to its node, runs them as admitted, and says how they are."""

    def __init__(self, rest: Rest, node: Node, given: Given, *, wants: Callable[[Json], bool]) -> None:
        self.pods: dict[str, Pod] = {}
        """Those that run, by uid."""
        self._rest = rest
        self._node = node
        self._given = given
        self._wants = wants
        self._group = asyncio.TaskGroup()
        self._loops: list[asyncio.Task[None]] = []
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._latest: dict[str, Json] = {}
        self._news: dict[str, asyncio.Event] = {}

    async def __aenter__(self) -> Self:
        """Register the node and begin."""
        await self._rest.apply(node_document())
        await self._rest.patch(f"/api/v1/nodes/{NODE_NAME}/status", node_status(GATEWAY))
        await self._group.__aenter__()
        loops = (self._follow_services(), self._follow_pods(), self._follow_contents())
        self._loops = [self._group.create_task(loop) for loop in loops]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of everything; whoever owns the node ends its Pods."""
        for task in (*self._loops, *self._lives.values()):
            task.cancel()
        await self._group.__aexit__(kind, error, trace)

    def running(self, namespace: str, prefix: str = "") -> list[Pod]:
        """Give the live Pods of a namespace whose names begin with a prefix."""
        found = (pod for pod in self.pods.values() if not pod.deleting)
        return [pod for pod in found if pod.name.startswith(f"{namespace}/{prefix}")]

    def expire_tokens(self) -> None:
        """Have every Pod's tokens renewed within seconds, as otherwise before they expire."""
        self._given.tokens.expire()

    async def _follow_services(self) -> None:
        known: set[tuple[str, str]] = set()

        def seen(event: str, service: Json) -> None:
            key = (service["metadata"]["namespace"], service["metadata"]["name"])
            if event != "DELETED" and service["spec"].get("clusterIP") == "None":
                self._node.services.apply({**service, "kind": "Service"})
                known.add(key)
            elif key in known:
                self._node.services.remove(*key)
                known.discard(key)

        await self._follow("/api/v1/services", seen)

    async def _follow_pods(self) -> None:
        await self._follow("/api/v1/pods", self._seen)

    async def _follow(self, path: str, seen: Callable[[str, Json], None]) -> None:
        """Call `seen` for every object and its changes, for ever; after a break for what there is, and is no more."""
        known: dict[str, Json] = {}

        def tell(event: str, item: Json) -> None:
            if event == "DELETED":
                known.pop(item["metadata"]["uid"], None)
            else:
                known[item["metadata"]["uid"]] = item
            seen(event, item)

        while True:
            with contextlib.suppress(RestError, httpx.HTTPError, OSError):
                listed = await self._rest.get(path)
                there = {item["metadata"]["uid"] for item in listed["items"]}
                # Deleted during the break: nobody else would end its Pod.
                for gone in [item for uid, item in known.items() if uid not in there]:
                    tell("DELETED", gone)
                for item in listed["items"]:
                    tell("ADDED", item)
                version = listed["metadata"]["resourceVersion"]
                async for event in self._rest.watch(path, resourceVersion=version):
                    tell(event["type"], event["object"])
            await asyncio.sleep(_RETRY_SECONDS)

    def _seen(self, event: str, document: Json) -> None:
        uid = document["metadata"]["uid"]
        if not self._wants(document) or document["spec"].get("nodeName") not in (None, NODE_NAME):
            return
        if event == "DELETED" and uid not in self._lives:
            return
        if event == "DELETED":
            document["metadata"].setdefault("deletionTimestamp", "now")
            document["metadata"]["deletionGracePeriodSeconds"] = 0
        self._latest[uid] = document
        self._news.setdefault(uid, asyncio.Event()).set()
        if uid not in self._lives:
            life = self._group.create_task(self._live(document), name=f"life of {document['metadata']['name']}")
            self._lives[uid] = life
            life.add_done_callback(lambda _: self._forget(uid))

    def _forget(self, uid: str) -> None:
        for known in (self._lives, self._latest, self._news, self.pods):
            known.pop(uid, None)
        self._given.tokens.forget(uid)

    async def _live(self, document: Json) -> None:
        metadata = document["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        with contextlib.suppress(RestError):
            if not document["spec"].get("nodeName"):
                await self._insist(lambda: self._rest.post(f"{path}/binding", _binding(metadata["name"])))
            pod = await self._begin(metadata["uid"])
            if pod is not None:
                self.pods[metadata["uid"]] = pod
                await self._attend(pod, metadata["uid"], path)
            end = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
            await self._insist(lambda: self._rest.delete(path, end))

    async def _begin(self, uid: str) -> Pod | None:
        """Start it as soon as everything is there that it mounts; None if it is deleted before."""
        while "deletionTimestamp" not in self._latest[uid]["metadata"]:
            with contextlib.suppress(RestError, NodeError, httpx.HTTPError):
                await self._given.prepare(self._latest[uid])
                return await self._node.run(self._latest[uid])
            await asyncio.sleep(_RETRY_SECONDS)
        return None

    async def _attend(self, pod: Pod, uid: str, path: str) -> None:
        """Tell of its changes, and see to what is wanted of it, until it is deleted."""
        told: Mapping[str, Any] = {}
        while True:
            self._news[uid].clear()
            now = self._latest[uid]["metadata"]
            if "deletionTimestamp" in now:
                break
            await self._annotate(pod, now.get("annotations") or {})
            status = pod_status(pod)
            if status != told:
                await self._tell(path, status)
                told = status
            await self._either(pod, status, self._news[uid])
        grace = now.get("deletionGracePeriodSeconds")
        ending = asyncio.create_task(pod.delete(grace))
        with contextlib.suppress(RestError):
            await self._tell(path, pod_status(pod))
        await ending

    async def _tell(self, path: str, status: Json) -> None:
        await self._insist(lambda: self._rest.patch(f"{path}/status", {"status": status}, STRATEGIC))

    @staticmethod
    async def _insist(send: Callable[[], Awaitable[Any]]) -> None:
        """Send a request until the API server answers it; RestError if it refuses."""
        while True:
            try:
                await send()
            except (RestError, httpx.HTTPError) as error:
                if isinstance(error, RestError) and error.status < _ITS_TROUBLES:
                    raise
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _either(self, pod: Pod, status: Mapping[str, Any], wanted: asyncio.Event) -> None:
        """Wait until the Pod or what is wanted of it has changed."""
        news = asyncio.create_task(wanted.wait())
        change = asyncio.create_task(pod.wait_until(lambda one: pod_status(one) != status, 3600, "changed"))
        try:
            await asyncio.wait({news, change}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (news, change):
                task.cancel()
            await asyncio.gather(news, change, return_exceptions=True)

    @staticmethod
    async def _annotate(pod: Pod, wanted: Mapping[str, str]) -> None:
        carried = pod.document["metadata"].get("annotations") or {}
        changes = {key: wanted.get(key) for key in {*carried, *wanted} if carried.get(key) != wanted.get(key)}
        if changes:
            await pod.annotate(changes)

    async def _follow_contents(self) -> None:
        while True:
            await asyncio.sleep(_CONTENT_SECONDS)
            with contextlib.suppress(RestError, httpx.HTTPError):
                if await self._given.refresh():
                    self._project()

    def _project(self) -> None:
        for pod in list(self.pods.values()):
            with contextlib.suppress(NodeError):
                pod.room.volumes.refresh(pod.room.view())


def _binding(name: str) -> Json:
    target = {"apiVersion": "v1", "kind": "Node", "name": NODE_NAME}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
