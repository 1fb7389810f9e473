"""The node that runs the test control plane's Pods does for them what a kubelet does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.cluster.kit.rest import until

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]


def _server(replicas: int = 2) -> list[dict[str, Any]]:
    labels = {"app": "server"}
    container = {
        "name": "app",
        "image": "grpc-echo",
        "args": ["50051"],
        "readinessProbe": {"tcpSocket": {"port": 50051}, "periodSeconds": 1},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 3}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    service = {"clusterIP": "None", "selector": labels, "ports": [{"name": "grpc", "port": 50051}]}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "server"}, "spec": service},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "server"}, "spec": spec},
    ]


async def test_a_deployment_s_pods_run_and_are_endpoints(world) -> None:
    """Ready Pods become available replicas, and addresses of the Service's EndpointSlice."""
    await world.namespace("kubelet-runs", run=True)
    await world.apply(_server(), namespace="kubelet-runs")
    await world.available("kubelet-runs", "server")

    path = "/apis/discovery.k8s.io/v1/namespaces/kubelet-runs/endpointslices"
    slices = await until(world.rest, path, lambda found: len(_addresses(found)) == 2)

    running = {pod.address for pod in world.kubelet.running("kubelet-runs")}
    assert _addresses(slices) == running


async def test_annotations_reach_the_pod_s_files(world) -> None:
    """Through the API server, as the reconciler writes them."""
    await world.namespace("kubelet-files", run=True)
    items = [{"path": "note", "fieldRef": {"fieldPath": "metadata.annotations['example.com/note']"}}]
    container = {"name": "app", "image": "grpc-echo", "args": ["50051"]}
    container["volumeMounts"] = [{"name": "notes", "mountPath": "/notes"}]
    spec = {"containers": [container], "volumes": [{"name": "notes", "downwardAPI": {"items": items}}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "reader"}, "spec": spec}
    path = "/api/v1/namespaces/kubelet-files/pods/reader"
    await world.rest.post("/api/v1/namespaces/kubelet-files/pods", pod)
    await until(world.rest, path, _is_ready)

    await world.rest.patch(path, {"metadata": {"annotations": {"example.com/note": "new"}}})

    (running,) = world.kubelet.running("kubelet-files")
    async with asyncio.timeout(10):
        while (await running.execute("app", ["cat", "/notes/note"]))[1] != "new":
            await asyncio.sleep(0.05)
    code, token = await running.execute("app", ["cat", "/var/run/secrets/kubernetes.io/serviceaccount/token"])
    assert (code, token.count(".")) == (0, 2)


async def test_tokens_are_each_pod_s_own_and_renewed_beside_its_annotations(world) -> None:
    """With an audience of their own; the API server says whose they are, and takes the new ones as well."""
    await world.namespace("kubelet-tokens", run=True)
    for name in ("one", "two"):
        await world.rest.post("/api/v1/namespaces/kubelet-tokens/pods", _with_token(name))
    for name in ("one", "two"):
        await until(world.rest, f"/api/v1/namespaces/kubelet-tokens/pods/{name}", _is_ready)

    one, two = sorted(world.kubelet.running("kubelet-tokens"), key=lambda pod: pod.name)
    before = await _mounted(one)
    world.kubelet.expire_tokens()
    async with asyncio.timeout(15):
        while (after := await _mounted(one))[0] == before[0]:
            await asyncio.sleep(0.05)
    reviewed = [await _review(world, token) for token in (before[0], after[0], (await _mounted(two))[0])]

    assert [status["user"]["extra"]["authentication.kubernetes.io/pod-name"] for status in reviewed] == [
        ["one"], ["one"], ["two"],
    ]  # fmt: skip
    assert (before[1], after[1]) == ("noted", "noted")


async def test_a_deleted_pod_ends_and_is_gone(world) -> None:
    """With its process, and from the API server."""
    await world.namespace("kubelet-ends", run=True)
    await world.apply(_server(1), namespace="kubelet-ends")
    await world.available("kubelet-ends", "server")
    path = "/apis/apps/v1/namespaces/kubelet-ends/deployments/server"

    await world.rest.patch(path, {"spec": {"replicas": 0}})
    await world.gone("kubelet-ends")

    assert world.kubelet.running("kubelet-ends") == []


def _with_token(name: str) -> dict[str, Any]:
    """Give a Pod with a token for somebody else than the API server, and an annotation in the same volume."""
    items = [{"path": "note", "fieldRef": {"fieldPath": "metadata.annotations['example.com/note']"}}]
    token = {"audience": "somebody", "expirationSeconds": 3600, "path": "token"}
    volume = {
        "name": "proof",
        "projected": {"sources": [{"downwardAPI": {"items": items}}, {"serviceAccountToken": token}]},
    }
    container = {"name": "app", "image": "grpc-echo", "args": ["50051"]}
    container["volumeMounts"] = [{"name": "proof", "mountPath": "/proof", "readOnly": True}]
    metadata = {"name": name, "annotations": {"example.com/note": "noted"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], "volumes": [volume]},
    }


async def _mounted(pod: Any) -> tuple[str, str]:
    """Give the token and the note as the container finds them."""
    code, text = await pod.execute("app", ["sh", "-c", "cat /proof/token; echo; cat /proof/note"])
    assert code == 0
    token, note = text.splitlines()
    return token, note


async def _review(world: Any, token: str) -> Any:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
    spec = {"token": token, "audiences": ["somebody"]}
    answer = await world.rest.post("/apis/authentication.k8s.io/v1/tokenreviews", {**review, "spec": spec})
    assert answer["status"]["authenticated"] is True
    return answer["status"]


def _is_ready(pod: Any) -> bool:
    """Say whether all containers run; the phase is Running a moment before they do."""
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    return bool(statuses) and all(one["ready"] for one in statuses)


def _addresses(slices: Any) -> set[str]:
    ready = (
        endpoint["addresses"]
        for one in slices["items"]
        for endpoint in one.get("endpoints") or ()
        if endpoint["conditions"]["ready"]
    )
    return {address for addresses in ready for address in addresses}
