"""What number a named target port means, from EndpointSlices or from the workloads of the same input.

Headless DNS translates no ports, so the number that the pods listen on must be known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from webhook.core import names
from webhook.core.errors import NotAPod
from webhook.core.model import JsonObject, ServiceRef
from webhook.core.pod import Pod, is_port, read_pod
from webhook.core.workloads import DEFAULT_NAMESPACE, pod_template


class NamedPorts:
    """Resolves named target ports; EndpointSlices, which say what is, count before workloads."""

    def __init__(self, objects: Iterable[Any] = (), *, default_namespace: str = DEFAULT_NAMESPACE) -> None:
        """Read the EndpointSlices and workloads among some objects; all others are passed over."""
        self._default_namespace = default_namespace
        self._services: dict[Hashable, ServiceRef] = {}
        self._slices: defaultdict[ServiceRef, dict[Hashable, _Ports]] = defaultdict(dict)
        self._pods: defaultdict[str, list[Pod]] = defaultdict(list)
        for place, obj in enumerate(objects):
            if isinstance(obj, dict) and obj.get("kind") == "EndpointSlice":
                self.put_slice(place, obj)
            else:
                self._add_workload(obj, default_namespace)

    def resolve(self, ref: ServiceRef, selector: Mapping[str, str], port_name: str, target: str) -> frozenset[int]:
        """Give every number that a Service's port `port_name` with the named target port `target` stands for."""
        slices = self._slices.get(ref, {}).values()
        if found := frozenset(number for ports in slices for name, number in ports if name == port_name):
            return found
        pods = [
            pod
            for pod in self._pods.get(ref.namespace, ())
            if selector and all(pod.labels.get(key) == value for key, value in selector.items())
        ]
        return frozenset(number for pod in pods for number in _numbers(pod, target))

    def put_slice(self, key: Hashable, obj: JsonObject | None) -> frozenset[ServiceRef]:
        """Put an EndpointSlice in the place of the one known by a key; None takes that away.

        Returns the Services whose ports may mean other numbers now.
        """
        ref, ports = _read_slice(obj, self._default_namespace) if obj is not None else (None, frozenset())
        known = self._services.pop(key, None)
        before = self._slices[known].pop(key) if known is not None else frozenset()
        if known is not None and not self._slices[known]:
            del self._slices[known]
        if ref is not None:
            self._services[key] = ref
            self._slices[ref][key] = ports
        if (known, before) == (ref, ports):
            return frozenset()
        return frozenset(each for each in (known, ref) if each is not None)

    def _add_workload(self, obj: Any, default_namespace: str) -> None:
        try:
            template = pod_template(obj)
            if template is not None:
                namespace = template.namespace or default_namespace
                self._pods[namespace].append(read_pod(template.document, namespace))
        except NotAPod:
            return  # whoever injects that workload says so; here it only names no port


_Ports = frozenset[tuple[str, int]]
"""The TCP ports of an EndpointSlice, by the Service's port name (empty where it has none) and number."""


def _read_slice(obj: JsonObject, default_namespace: str) -> tuple[ServiceRef | None, _Ports]:
    metadata = obj.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    service = labels.get(names.SLICE_SERVICE) if isinstance(labels, dict) else None
    ports = obj.get("ports")
    if not isinstance(metadata, dict) or not isinstance(service, str) or not isinstance(ports, list):
        return None, frozenset()
    # The API server checks the range, a file does not; Envoy would refuse everything for one wrong number.
    found = frozenset(
        (str(port.get("name") or ""), port["port"])
        for port in ports
        if isinstance(port, dict) and is_port(port.get("port")) and port.get("protocol") in (None, "TCP")
    )
    return ServiceRef(str(metadata.get("namespace") or default_namespace), service), found


def _numbers(pod: Pod, target: str) -> set[int]:
    return {
        port["containerPort"]
        for container in pod.all_containers()
        for port in container.get("ports") or ()
        if port.get("name") == target and port.get("protocol") in (None, "TCP")
    }
