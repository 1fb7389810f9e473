"""Live Pods, and a cluster that keeps them: as much of an API server as the reconciler talks to."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import jsonpatch
from prometheus_client import CollectorRegistry

from tests import builders
from webhook.core import names
from webhook.core.catalog import Catalog
from webhook.core.pod import read_pod
from webhook.kube.api import Answer, Event, Listing
from webhook.kube.errors import AlreadyExists, Conflict, Gone, NotFound
from webhook.kube.presence import Presence
from webhook.reconcile.keep import LivePod, PodKey, keep_pod

Json = dict[str, Any]
INJECTOR = builders.injector()
NOTHING = builders.catalog()
ORDERS = builders.catalog(builders.service("orders"))


def live_document(
    name: str = "front-0", *, catalog: Catalog = NOTHING, uid: str = "uid-1", version: int = 1, **fields: Any
) -> Json:
    """Make a Pod as it lives after it was admitted beside these Services."""
    document = builders.pod(**fields)
    document["metadata"]["name"] = name
    outcome = INJECTOR.admit(read_pod(document, document["metadata"]["namespace"]), catalog, None)
    changed: Json = jsonpatch.apply_patch(copy.deepcopy(document), json.loads(json.dumps(outcome.operations)))
    changed["metadata"] |= {"uid": uid, "resourceVersion": str(version)}
    changed["status"] = {"phase": "Running", "startTime": "2026-08-22T10:00:00Z"}
    return changed


def live_pod(name: str = "front-0", **fields: Any) -> LivePod:
    """Make a Pod as the reconciler keeps it."""
    return keep_pod(live_document(name, **fields))


def wanted(document: Json, catalog: Catalog) -> Mapping[str, str]:
    """Say what a Pod should carry, asked in the plainest way."""
    found = INJECTOR.refresh(read_pod(document, document["metadata"]["namespace"]), catalog)
    assert found is not None
    return found


def carried(document: Json) -> Mapping[str, str]:
    """Say what a Pod carries of it."""
    return {key: text for key, text in document["metadata"]["annotations"].items() if key in names.REFRESHED}


def sample(registry: CollectorRegistry, name: str, **labels: str) -> float:
    """Give one number of a registry."""
    found = registry.get_sample_value(name, labels)
    assert found is not None, name
    return found


class Cluster:
    """Pods and Leases in memory, with versions, preconditions and a watch that comes a moment later."""

    def __init__(self) -> None:
        self.presence = Presence()
        self.pods: dict[PodKey, Json] = {}
        self.leases: dict[str, Json] = {}
        self.patches: list[tuple[float, PodKey, Json]] = []
        self.needless: list[PodKey] = []
        self.delay: Callable[[], float] = lambda: 0.01
        self.fault: Callable[[PodKey], Exception | None] = lambda _key: None
        self.watch_ends: Callable[[], Exception | None] = lambda: None
        self._version = 100
        self._events: list[tuple[int, str, Json]] = []
        self._oldest = 0
        self._stirred = asyncio.Event()

    # What the world does.

    def add(self, document: Json) -> PodKey:
        """Create a Pod, or one in the place of another."""
        key = PodKey(document["metadata"]["namespace"], document["metadata"]["name"])
        if key in self.pods:
            self.remove(key)
        self.pods[key] = document
        self._changed("ADDED", document)
        return key

    def change(self, key: PodKey, change: Callable[[Json], Any]) -> None:
        """Change a Pod as somebody else would."""
        document = self.pods[key] = copy.deepcopy(self.pods[key])
        change(document)
        self._changed("MODIFIED", document)

    def remove(self, key: PodKey) -> None:
        """Delete a Pod."""
        self._changed("DELETED", self.pods.pop(key))

    def forget_history(self) -> None:
        """Compact: who watches from before now gets a 410."""
        self._oldest = self._version

    def _changed(self, kind: str, document: Json) -> None:
        self._version += 1
        document["metadata"]["resourceVersion"] = str(self._version)
        self._events.append((self._version, kind, copy.deepcopy(document)))
        self._stirred.set()
        self._stirred = asyncio.Event()

    # What the API server answers.

    async def pages(self, _path: str, **_params: Any) -> AsyncIterator[Listing]:
        """List in one page."""
        listing = Listing(copy.deepcopy(list(self.pods.values())), str(self._version))
        await asyncio.sleep(self.delay())
        yield listing

    async def watch(self, path: str, *, version: str, timeout: int, **params: Any) -> AsyncIterator[Event]:  # noqa: ASYNC109
        """Tell what has changed since a version."""
        at = int(version)
        if at < self._oldest:
            raise Gone("GET", path, "too old")
        params["opened"]()
        end = asyncio.get_running_loop().time() + timeout
        while (rest := end - asyncio.get_running_loop().time()) > 0:
            stirred = self._stirred
            for number, kind, document in [each for each in self._events if each[0] > at]:
                await asyncio.sleep(self.delay())
                if (fault := self.watch_ends()) is not None:
                    raise fault
                yield Event(kind, copy.deepcopy(document))
                at = number
            if stirred is self._stirred:
                await asyncio.wait([asyncio.ensure_future(stirred.wait())], timeout=rest)

    async def patch(self, path: str, body: Json, **_params: Any) -> Answer:
        """Merge into a Pod's metadata, if the uid is right."""
        parts = path.split("/")
        key = PodKey(parts[4], parts[6])
        self.patches.append((asyncio.get_running_loop().time(), key, body))
        await asyncio.sleep(self.delay())
        if (fault := self.fault(key)) is not None:
            raise fault
        if key not in self.pods:
            raise NotFound("PATCH", path, "")
        metadata = self.pods[key]["metadata"]
        if body["metadata"]["uid"] != metadata["uid"]:
            raise Conflict("PATCH", path, "Precondition failed: UID in precondition")
        new = body["metadata"]["annotations"]
        if all(metadata["annotations"].get(name) == text for name, text in new.items()):
            self.needless.append(key)
        self.change(key, lambda document: document["metadata"]["annotations"].update(new))
        answer = copy.deepcopy(self.pods[key])
        await asyncio.sleep(self.delay())
        return Answer(answer)

    async def get(self, path: str, **_params: Any) -> Json:
        """Give a Lease."""
        await asyncio.sleep(self.delay())
        if path not in self.leases:
            raise NotFound("GET", path, "")
        return copy.deepcopy(self.leases[path])

    async def create(self, path: str, body: Json, **_params: Any) -> Answer:
        """Create a Lease."""
        await asyncio.sleep(self.delay())
        path = f"{path}/{body['metadata']['name']}"
        if path in self.leases:
            raise AlreadyExists("POST", path, "")
        return self._keep_lease(path, body)

    async def replace(self, path: str, body: Json, **_params: Any) -> Answer:
        """Replace a Lease, in its version."""
        await asyncio.sleep(self.delay())
        if path not in self.leases:
            raise NotFound("PUT", path, "")
        if self.leases[path]["metadata"]["resourceVersion"] != body["metadata"].get("resourceVersion"):
            raise Conflict("PUT", path, "the object has been modified")
        return self._keep_lease(path, body)

    def _keep_lease(self, path: str, body: Json) -> Answer:
        self._version += 1
        lease = self.leases[path] = copy.deepcopy(body)
        lease["metadata"]["resourceVersion"] = str(self._version)
        return Answer(copy.deepcopy(lease))


def jitter(chance: random.Random, most: float) -> Callable[[], float]:
    """Make delays of chance."""
    return lambda: chance.random() * most
