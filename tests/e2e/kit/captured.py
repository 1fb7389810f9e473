"""What the tests of captured names apply, and how they wait."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from tests.e2e.kit import apps, talk
from webhook.cli.workloads import load_both
from webhook.core.catalog import build_catalog
from webhook.core.pod import read_pod
from webhook.manifests import objects, read_documents
from webhook.node.pod import Pod

MANIFESTS: Final = Path(__file__).parents[1] / "manifests"
_LONGEST: Final = 20.0


def read(name: str) -> list[dict[str, Any]]:
    """Read one of tests/e2e/manifests without the containers of languages that are absent."""
    documents = list(yaml.safe_load_all((MANIFESTS / f"{name}.yaml").read_text()))
    absent = {f"app-{language}" for language in set(apps.LANGUAGES) - set(apps.present())}
    for document in documents:
        if document["kind"] == "Deployment":
            spec = document["spec"]["template"]["spec"]
            spec["containers"] = [one for one in spec["containers"] if one["image"] not in absent]
            # A command without a handler for SIGTERM is not to be waited for.
            spec["terminationGracePeriodSeconds"] = 1
    return [one for one in documents if one["kind"] != "Deployment" or one["spec"]["template"]["spec"]["containers"]]


def service(documents: Iterable[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Give a Service of a manifest, in the manifest's Namespace."""
    by_kind = {(one["kind"], one["metadata"]["name"]): one for one in documents}
    namespace = next(name for kind, name in by_kind if kind == "Namespace")
    found = copy.deepcopy(by_kind["Service", name])
    return {**found, "metadata": {**found["metadata"], "namespace": namespace}}


async def apply(world: Any, documents: Sequence[Mapping[str, Any]]) -> None:
    """Apply a manifest, its Namespace included."""
    namespace = next(one for one in documents if one["kind"] == "Namespace")
    # The API server sends an object's Namespace with no Pod: a webhook without a cluster reads it where Services are.
    write(world, namespace)
    await world.cluster.apply(documents, namespace=namespace["metadata"]["name"])


def write(world: Any, document: Mapping[str, Any]) -> None:
    """Put a document into the webhook's catalog."""
    file = world.webhook.catalog / f"{document['kind']}.{document['metadata']['name']}.json"
    hidden = file.with_suffix(".tmp")
    hidden.write_text(json.dumps(document))
    hidden.replace(file)


async def stateful(world: Any, service: str, namespace: str, template: Mapping[str, Any], replicas: int) -> list[Pod]:
    """Run the Pods of a StatefulSet, each with a name of its own below the Service's, and wait for them."""
    pods = []
    for number in range(replicas):
        name = f"{service}-{number}"
        metadata = {**template["metadata"], "name": name, "namespace": namespace}
        spec = {**template["spec"], "hostname": name, "subdomain": service}
        pods.append(await world.node.run({"kind": "Pod", "metadata": metadata, "spec": spec}))
    await asyncio.gather(*(pod.wait_ready(_LONGEST) for pod in pods))
    return pods


async def until(holds: Callable[[], Awaitable[bool]], what: Callable[[], str] | str) -> None:
    """Wait until something holds; fails after a while."""
    end = time.monotonic() + _LONGEST
    while not await holds():
        assert time.monotonic() < end, f"not after {_LONGEST:g} s: {what if isinstance(what, str) else what()}"
        await asyncio.sleep(0.2)


async def settled(client: Pod, targets: Mapping[str, int]) -> None:
    """Wait until calls to each target reach as many pods as they should, and none fails."""
    found: dict[str, Any] = {}

    async def reached() -> bool:
        # One call each first: where none is answered yet, many would wait for their deadlines.
        first = await talk.call(client, "python", *targets, rpcs=1, deadline=2)
        if any(tally["failed"] for tally in first.values()):
            return False
        found.update(await talk.call(client, "python", *targets, rpcs=4 * max(targets.values()), deadline=2))
        return all(len(found[name]["pods"]) == count and not found[name]["failed"] for name, count in targets.items())

    await until(reached, lambda: f"{dict(targets)} are reached; {found}; {client.logs('evenkeel-proxy')[-2000:]}")


async def refresh(world: Any, pod: Pod) -> None:
    """Give a live Pod what the reconciler would, from the Services of now; its DNS is asked every second."""
    settings = world.webhook.catalog.parent / "settings.yaml"
    settings.write_text("sidecar: {dns_refresh_seconds: 1}\n")
    injector, _ = load_both(settings, None)
    catalog = build_catalog(obj for obj, _, _ in objects(read_documents([world.webhook.catalog])))
    annotations = injector.refresh(read_pod(pod.document, pod.document["metadata"]["namespace"]), catalog)
    assert annotations is not None
    await pod.annotate(dict(annotations))


async def replace(world: Any, pod: Pod, service: Mapping[str, Any]) -> None:
    """Change a Service, in the cluster and in its DNS, and refresh a Pod."""
    namespace = service["metadata"]["namespace"]
    await world.cluster.apply([{**service}], namespace=namespace)
    world.node.services.apply(service)
    await refresh(world, pod)


async def remove(world: Any, pod: Pod, namespace: str, name: str) -> None:
    """Delete a Service, and refresh a Pod."""
    (world.webhook.catalog / f"{namespace}.{name}.json").unlink()
    world.cluster._services.pop((namespace, name))
    world.node.services.remove(namespace, name)
    await refresh(world, pod)
