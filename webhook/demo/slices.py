"""EndpointSlices as the controllers of Kubernetes make them of Services and Pods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from webhook.core import names
from webhook.node.pod import Pod

Json = Mapping[str, Any]
Key = tuple[str, str]
"""Namespace and name."""

_PATIENCE: Final = 3600.0
"""Longer than any Pod of a demo lives."""


class EndpointSlices:
    """Follows Pods and keeps the EndpointSlices of Services true; each that changes is put, with None where it goes."""

    def __init__(self, pods: Callable[[], Iterable[Pod]], put: Callable[[Key, Json | None], None]) -> None:
        self._pods = pods
        self._put = put
        self._services: dict[Key, Json] = {}
        self._written: defaultdict[Key, dict[Key, Json]] = defaultdict(dict)

    def apply(self, service: Json) -> None:
        """Take a Service."""
        key = (service["metadata"]["namespace"], service["metadata"]["name"])
        self._services[key] = service
        self._write(key)

    async def follow(self, pod: Pod) -> None:
        """Follow a Pod until nothing of it is left."""
        namespace = pod.document["metadata"]["namespace"]
        seen: Json | None = {}
        while seen is not None:
            await pod.wait_until(partial(_differs, seen), _PATIENCE, "another")
            seen = _endpoint(pod)
            for key in self._services:
                if key[0] == namespace:
                    self._write(key)

    def _write(self, key: Key) -> None:
        documents = slices(self._services[key], self._pods())
        before, self._written[key] = self._written[key], documents
        for name in before.keys() | documents.keys():
            if before.get(name) != documents.get(name):
                self._put(name, documents.get(name))


def _differs(last: Json, pod: Pod) -> bool:
    return _endpoint(pod) != last


def slices(service: Json, pods: Iterable[Pod]) -> dict[Key, Json]:
    """Give the EndpointSlices of a Service: Pods on which its ports have different numbers are in different ones."""
    namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
    selector = service["spec"].get("selector") or {}
    groups: defaultdict[tuple[tuple[str, int], ...], list[Json]] = defaultdict(list)
    for pod in pods:
        known, found = pod.endpoint(), _endpoint(pod)
        if known is None or found is None or known.namespace != namespace:
            continue
        if selector and selector.items() <= known.labels.items():
            ports = ((each.get("name") or "", _target(each, known.ports)) for each in service["spec"]["ports"])
            groups[tuple((port, number) for port, number in ports if number)].append(found)
    return {
        (namespace, key): _document(namespace, key, name, dict(ports), found)
        for ports, found in groups.items()
        for key in [f"{name}-{'-'.join(str(number) for _, number in ports)}"]
    }


def _endpoint(pod: Pod) -> Json | None:
    """Say of a Pod what a slice says of it; None where it has ended."""
    if pod.endpoint() is None:
        return None
    serving, leaves = pod.conditions["ContainersReady"], pod.deleting
    return {
        "addresses": [pod.address],
        "conditions": {"ready": serving and not leaves, "serving": serving, "terminating": leaves},
        "targetRef": {"kind": "Pod", "uid": pod.document["metadata"]["uid"]},
    }


def _target(port: Json, named: Mapping[str, int]) -> int:
    target = port.get("targetPort") or port["port"]
    return target if isinstance(target, int) else named.get(target, 0)


def _document(namespace: str, name: str, service: str, ports: Mapping[str, int], endpoints: list[Json]) -> Json:
    labels = {names.SLICE_SERVICE: service}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": port, "port": number, "protocol": "TCP"} for port, number in ports.items()],
        "endpoints": endpoints,
    }
