"""The kubelet's part of a Pod's life, played where there is no node: what its controllers wait to see."""

from __future__ import annotations

from typing import Any, Final

from tests.cluster.kit.rest import MERGE, Rest

NODE: Final = "node-1"


async def make_node(rest: Rest, name: str = NODE) -> None:
    """Have a Linux node; the endpoints of Pods on a node that does not exist are left out of EndpointSlices."""
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
    await rest.apply(node)
    info = {"kubeletVersion": (await rest.get("/version"))["gitVersion"], "operatingSystem": "linux"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    room = {"cpu": "64", "memory": "256Gi", "pods": "5000"}
    status = {"nodeInfo": info, "conditions": [ready], "capacity": room, "allocatable": room}
    await rest.patch(f"/api/v1/nodes/{name}/status", {"status": status}, MERGE)


async def run_pod(rest: Rest, namespace: str, name: str, address: str, *, node: str = NODE, ready: bool = True) -> Any:
    """Bind a Pod to a node, unless it is bound, and let it run there at this address."""
    path = f"/api/v1/namespaces/{namespace}/pods/{name}"
    if not (await rest.get(path))["spec"].get("nodeName"):
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
        await rest.post(f"{path}/binding", binding)
    conditions = [{"type": kind, "status": str(ready)} for kind in ("Ready", "ContainersReady")]
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": conditions}
    return await rest.patch(f"{path}/status", {"status": status}, MERGE)
