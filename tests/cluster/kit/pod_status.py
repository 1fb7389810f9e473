"""A node and its Pods as the API server is told of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from tests.cluster.kit.rest import Json
from webhook.node.network import GATEWAY
from webhook.node.pod import Pod
from webhook.node.status import ContainerStatus

NODE_NAME: Final = "evenkeel-node"
KUBELET: Final = "v1.36.3"


def node_document(name: str = NODE_NAME) -> Json:
    """Give the Node."""
    labels = {"kubernetes.io/os": "linux", "kubernetes.io/hostname": name}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def node_status(address: str, kubelet: str = KUBELET) -> Json:
    """Give a merge patch that says it is well."""
    condition = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": _time(None)}
    info = {
        "kubeletVersion": kubelet, "operatingSystem": "linux", "architecture": "amd64", "osImage": "", "machineID": "",
        "systemUUID": "", "bootID": "", "kernelVersion": "", "containerRuntimeVersion": "", "kubeProxyVersion": "",
    }  # fmt: skip
    resources = {"cpu": "64", "memory": "256Gi", "pods": "1000"}
    addresses = [{"type": "InternalIP", "address": address}]
    status = {"conditions": [condition], "nodeInfo": info, "capacity": resources, "allocatable": resources}
    return {"status": {**status, "addresses": addresses}}


def pod_status(pod: Pod) -> Json:
    """Give a Pod's status but for what the API server fills in; equal as long as nothing of it changed."""
    spec = pod.document["spec"]
    statuses = pod.statuses
    return {
        "phase": pod.phase,
        "podIP": pod.address,
        "podIPs": [{"ip": pod.address}],
        "hostIP": GATEWAY,
        "conditions": [{"type": kind, "status": str(value)} for kind, value in pod.conditions.items()],
        "containerStatuses": list(_containers(spec["containers"], statuses)),
        "initContainerStatuses": list(_containers(spec.get("initContainers") or (), statuses)),
    }


def _containers(containers: Iterable[Json], statuses: dict[str, ContainerStatus]) -> Iterable[Json]:
    for container in containers:
        status = statuses[container["name"]]
        yield {
            "name": status.name,
            "image": container["image"],
            "imageID": "",
            "ready": status.ready,
            "started": status.started,
            "restartCount": status.restarts,
            "state": {status.state: _state(status)},
        }


def _state(status: ContainerStatus) -> dict[str, Any]:
    if status.state == "running":
        return {"startedAt": _time(status.started_at)}
    if status.state == "waiting":
        return {"reason": status.reason, "message": status.message}
    times = {"startedAt": _time(status.started_at), "finishedAt": _time(status.ended_at)}
    return {"exitCode": status.exit_code, "reason": status.reason, "message": status.message, **times}


def _time(seconds: float | None) -> str:
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
