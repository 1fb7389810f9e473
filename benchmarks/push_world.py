"""Services and their EndpointSlices, as a cluster has them, for the benchmark of pushed endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

PORT: Final = 50051
MARK: Final = "198.18"
"""The addresses by which clients tell one change from another begin so."""


@dataclass(frozen=True, slots=True)
class World:
    """So many Services, spread over namespaces, each of so many endpoints."""

    services: int
    namespaces: int = 1
    endpoints: int = 10

    def namespace(self, number: int) -> str:
        """Give the namespace of the Service, or of the client, of this number."""
        return f"crowd-{number % self.namespaces:04d}"

    def service(self, number: int) -> dict[str, Any]:
        """Give a Service."""
        name = f"service-{number:05d}"
        spec = {"clusterIP": "None", "selector": {"app": name}, "ports": [{"name": "grpc", "port": PORT}]}
        metadata = {"name": name, "namespace": self.namespace(number)}
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}

    def slice(self, number: int, mark: int = 0) -> dict[str, Any]:
        """Give the EndpointSlice of a Service; a mark is in the address of one of its endpoints."""
        first = number * self.endpoints
        addresses = [f"10.{each >> 16}.{each >> 8 & 255}.{each & 255}" for each in range(first, first + self.endpoints)]
        if mark:
            addresses[-1] = f"{MARK}.{mark >> 8}.{mark & 255}"
        labels = {"kubernetes.io/service-name": f"service-{number:05d}"}
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"service-{number:05d}-x7k2p",
                "namespace": self.namespace(number),
                "labels": labels,
            },
            "addressType": "IPv4",
            "ports": [{"name": "grpc", "port": PORT, "protocol": "TCP"}],
            "endpoints": [_endpoint(first + place, address) for place, address in enumerate(addresses)],
        }

    def seen(self, client: int) -> list[str]:
        """Give the names that a client asks for: the ports of all Services of its namespace."""
        inside = range(client % self.namespaces, self.services, self.namespaces)
        return [f"service-{number:05d}.{self.namespace(client)}:{PORT}" for number in inside]


def _endpoint(number: int, address: str) -> dict[str, Any]:
    return {
        "addresses": [address],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": f"node-{number % 100}",
        "zone": "abc"[number % 3],
        "targetRef": {"kind": "Pod", "name": f"pod-{number}", "uid": f"705ab4f5-6393-11e8-b7cc-{number:012d}"},
    }
