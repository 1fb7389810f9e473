"""Many injected Pods in one namespace, and how long a new Service takes to reach the last of them."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from typing import Any, Final

import jsonpatch
from crowd import service, together
from machine import cpu_seconds, memory_mib
from process import Running

from tests.cluster.kit.controlplane import ControlPlane
from tests.cluster.kit.install import total
from tests.cluster.kit.rest import Rest
from webhook.core import names
from webhook.core.catalog import build_catalog
from webhook.core.inject import Injector
from webhook.core.model import SidecarSettings
from webhook.core.pod import read_pod
from webhook.templates import dump, load_templates

_LIMIT: Final = 600.0
_REQUESTS: Final = "apiserver_request_total"


async def fleet(rest: Rest, plane: ControlPlane, running: Running, pods: int, rate: int) -> dict[str, Any]:
    """Make Pods, let them come to rest, add a Service, and tell when the last Pod carries it."""
    namespace = f"fleet-{rate}"
    await plane.namespace(namespace)
    await _make(rest, namespace, pods)
    await running.ready()
    await _rested(running)
    before, cpu = await _requests(plane), cpu_seconds(running.pid)
    seconds = await _add(rest, namespace, pods)
    asked = await _requests(plane)
    return {
        "pods": pods,
        "rate": rate,
        "seconds": round(seconds, 2),
        "patches": int(asked["PATCH"] - before["PATCH"]),
        "requests": int(sum(asked.values()) - sum(before.values())),
        "cpu_s": round(cpu_seconds(running.pid) - cpu, 2),
        **memory_mib(running.pid),
    }


async def _make(rest: Rest, namespace: str, pods: int) -> None:
    bare = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "some", "namespace": namespace, "labels": {"app": "front"}},
        "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]},
    }
    injector = Injector(SidecarSettings(), load_templates(None), dump)
    outcome = injector.admit(read_pod(bare, namespace), build_catalog([]), None)
    pod = jsonpatch.apply_patch(copy.deepcopy(bare), json.loads(json.dumps(outcome.operations)))
    made = ({**pod, "metadata": {**pod["metadata"], "name": f"pod-{number:05d}"}} for number in range(pods))
    await together(rest.post(f"/api/v1/namespaces/{namespace}/pods", one) for one in made)


async def _rested(running: Running) -> None:
    """Wait until it leads and has nothing to do, for a second."""
    quiet = 0
    async with asyncio.timeout(_LIMIT):
        while quiet < 10:
            text = await running.metrics()
            busy = total(text, "evenkeel_reconciler_pods_out_of_date") or not total(text, "evenkeel_reconciler_leader")
            quiet = 0 if busy else quiet + 1
            await asyncio.sleep(0.1)


async def _add(rest: Rest, namespace: str, pods: int) -> float:
    """Add a Service and follow the Pods; give the seconds until the last carries it."""
    path, selector = f"/api/v1/namespaces/{namespace}/pods", f"{names.INJECTED}={names.INJECTED_VALUE}"
    listed = await rest.get(path, limit=1)
    version, missing = listed["metadata"]["resourceVersion"], {f"pod-{number:05d}" for number in range(pods)}
    new = service(1, 1, name="late", namespace=namespace)
    begun = time.perf_counter()
    await rest.post(new.collection, new.document)
    async with asyncio.timeout(_LIMIT):
        async for event in rest.watch(path, labelSelector=selector, resourceVersion=version):
            metadata = event["object"]["metadata"]
            if "late." in metadata["annotations"][names.CLUSTERS]:
                missing.discard(metadata["name"])
            if not missing:
                break
    return time.perf_counter() - begun


async def _requests(plane: ControlPlane) -> dict[str, float]:
    """Count the requests about Pods that the API server has seen, by verb."""
    text = await plane.metrics()
    return {verb: total(text, _REQUESTS, verb=verb, resource="pods") for verb in ("PATCH", "LIST", "WATCH", "GET")}
