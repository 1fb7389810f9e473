"""What number a named target port means, from EndpointSlices or from the workloads of the same input.

Headless DNS translates no ports, so the number that the pods listen on must be known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from webhook.core import names
from webhook.core.errors import NotAPod
from webhook.core.model import JsonObject, ServiceRef
from webhook.core.pod import Pod, is_port, read_pod
from webhook.core.workloads import DEFAULT_NAMESPACE, pod_template


class NamedPorts:
    """Resolves named target ports; EndpointSlices, which say what is, count before workloads."""

    def __init__(self, objects: Iterable[Any], *, default_namespace: str = DEFAULT_NAMESPACE) -> None:
        """Read the EndpointSlices and workloads among some objects; all others are passed over."""
        self._slices: defaultdict[tuple[ServiceRef, str], set[int]] = defaultdict(set)
        self._pods: defaultdict[str, list[Pod]] = defaultdict(list)
        for obj in objects:
            if isinstance(obj, dict) and obj.get("kind") == "EndpointSlice":
                self._add_slice(obj, default_namespace)
            else:
                self._add_workload(obj, default_namespace)

    def resolve(self, ref: ServiceRef, selector: Mapping[str, str], port_name: str, target: str) -> frozenset[int]:
        """Give every number that a Service's port `port_name` with the named target port `target` stands for."""
        if found := self._slices.get((ref, port_name)):
            return frozenset(found)
        pods = [
            pod
            for pod in self._pods.get(ref.namespace, ())
            if selector and all(pod.labels.get(key) == value for key, value in selector.items())
        ]
        return frozenset(number for pod in pods for number in _numbers(pod, target))

    def _add_slice(self, obj: JsonObject, default_namespace: str) -> None:
        metadata = obj.get("metadata")
        labels = metadata.get("labels") if isinstance(metadata, dict) else None
        service = labels.get(names.SLICE_SERVICE) if isinstance(labels, dict) else None
        ports = obj.get("ports")
        if not isinstance(metadata, dict) or not isinstance(service, str) or not isinstance(ports, list):
            return
        ref = ServiceRef(str(metadata.get("namespace") or default_namespace), service)
        for port in ports:
            # The API server checks the range, a file does not; Envoy would refuse everything for one wrong number.
            if isinstance(port, dict) and is_port(port.get("port")) and port.get("protocol") in (None, "TCP"):
                self._slices[ref, str(port.get("name") or "")].add(port["port"])

    def _add_workload(self, obj: Any, default_namespace: str) -> None:
        try:
            template = pod_template(obj)
            if template is not None:
                namespace = template.namespace or default_namespace
                self._pods[namespace].append(read_pod(template.document, namespace))
        except NotAPod:
            return  # whoever injects that workload says so; here it only names no port


def _numbers(pod: Pod, target: str) -> set[int]:
    return {
        port["containerPort"]
        for container in pod.all_containers()
        for port in container.get("ports") or ()
        if port.get("name") == target and port.get("protocol") in (None, "TCP")
    }
