"""Exactly the rights that are used, and what is said where one of them is missing."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.kit.ads import endpoints, token_of
from tests.cluster.kit.audit import asked, audit_flags, granted, refused
from tests.cluster.kit.controlplane import ControlPlane
from tests.cluster.kit.install import NAMESPACE, RECONCILER, WEBHOOK, XDS, injected, render, until
from tests.cluster.kit.obtain import obtain
from tests.cluster.kit.pod_status import NODE_NAME, node_document
from tests.cluster.kit.policies import injected_pod
from tests.cluster.kit.process import Program
from tests.cluster.kit.rest import Rest, RestError
from tests.cluster.kit.rest import until as rest_until
from tests.cluster.kit.secret import SECRET, stored
from webhook.core import names
from webhook.tls.state import decode

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{RECONCILER}"
LACKING = {WEBHOOK: "services", RECONCILER: "pods", XDS: "namespaces"}
"""By Deployment: what it may not list any more."""
SENTENCES = {
    WEBHOOK: (
        "catalog: the services of the cluster are not known yet: GET /api/v1/services: forbidden: "
        "system:serviceaccount:evenkeel-system:evenkeel-webhook may not list services; "
        "bind ClusterRole evenkeel-webhook (deploy/base)"
    ),
    RECONCILER: (
        "pods: the Pods are not known yet: GET /api/v1/pods: forbidden: "
        "system:serviceaccount:evenkeel-system:evenkeel-reconciler may not list pods; "
        "bind ClusterRole evenkeel-reconciler (deploy/base)"
    ),
    XDS: (
        "cluster: the namespaces of the cluster are not known yet: GET /api/v1/namespaces: forbidden: "
        "system:serviceaccount:evenkeel-system:evenkeel-xds may not list namespaces; "
        "bind ClusterRole evenkeel-xds (deploy/base)"
    ),
}
"""What the new replica's /readyz says."""


@pytest.mark.parametrize("deployment", LACKING)
async def test_a_missing_right_is_named_and_recovered_from(world, evenkeel, deployment) -> None:
    """A new replica is not ready and says what to bind; the old ones serve on; put back, it comes by itself."""
    await world.ensure("permissions", {names.INJECT: "enabled"})
    old = {one.name for one in evenkeel.replicas(deployment)}
    async with _stream(evenkeel, "permissions") as stream:
        async with _may_not_list(world, deployment, LACKING[deployment]):
            await _roll(world, deployment)
            new = await until(lambda: _new(evenkeel, deployment, old), "a new replica")
            said = await until(lambda: _missing(new), "telling what is missing")
            so_far = len(stream)
            await until(lambda: _longer(stream, so_far + 50), "fifty more Pods")
            new_ready, ready = new.ready, len([one for one in evenkeel.replicas(deployment) if one.ready])
        await until(lambda: _is_ready(new), "ready by itself")
        restarts = {status.name: status.restarts for status in new.statuses.values()}
        await world.available(NAMESPACE, deployment)

    print(f"{deployment} without a right: {len(stream)} Pods meanwhile, {stream.count(False)} bare")
    assert said == [SENTENCES[deployment]]
    assert (new_ready, ready) == (False, 2)
    assert set(restarts.values()) == {0}
    assert stream.count(False) == 0


async def test_every_right_is_used_and_no_other_is_wanted(tmp_path) -> None:
    """By the API server's audit log, over a life in which everything happens once: both sets are the same."""
    objects = render(obtain("kustomize")["kustomize"], "self-managed")
    programs = obtain("etcd", "kubernetes")
    async with (
        ControlPlane(tmp_path / "plane", programs, apiserver_flags=audit_flags(tmp_path)) as plane,
        Rest(plane.kubeconfig) as rest,
    ):
        await plane.namespace(NAMESPACE)
        await plane.namespace("shop")
        for one in objects:
            await rest.apply(one)
        await rest.apply(node_document())
        live = await rest.post("/api/v1/namespaces/shop/pods", _on_a_node(injected_pod(name="live")))
        async with (
            _process(plane, tmp_path, "serve", WEBHOOK) as serve,
            _process(plane, tmp_path, "reconcile", RECONCILER),
        ):
            await rest_until(rest, SECRET, _filled)
            await rest_until(rest, LEASE, _held)
            await rest.post("/api/v1/namespaces/shop/services", _service())
            await rest_until(rest, "/api/v1/namespaces/shop/pods/live", _balances)
            async with _process(plane, tmp_path, "xds", XDS, **await _pair(rest, tmp_path)) as xds:
                port = await until(lambda: _listening(xds), "listening")
                trust, token = (await stored(rest)).bundle, await token_of(rest, live)
                told = await endpoints(f"localhost:{port}", trust, f"{XDS}.{NAMESPACE}.svc", token, "orders.shop:50051")
            await rest.delete(SECRET)
            await rest.delete(LEASE)
            # It would see for itself, but looks only every 15 s.
            serve.kill()
            serve.start()
            await rest_until(rest, SECRET, _filled, refused=(404,))
            await rest_until(rest, LEASE, _held, refused=(404,))

    assert b"orders.shop:50051" in told
    assert refused(tmp_path) == set()
    assert asked(tmp_path) == granted(objects)


@asynccontextmanager
async def _may_not_list(world: Any, account: str, resource: str) -> AsyncIterator[None]:
    """Take one verb out of an account's ClusterRole."""
    path = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{account}"
    rules = (await world.rest.get(path))["rules"]
    async with Rest(await world.plane.kubeconfig_for(account, NAMESPACE)) as itself:
        await world.rest.patch(path, {"rules": [one for rule in rules for one in _without(rule, resource)]})
        try:
            await until(lambda: _is_forbidden(itself, f"/api/v1/{resource}"), "forbidden")
            yield
        finally:
            await world.rest.patch(path, {"rules": rules})


def _without(rule: Any, resource: str) -> list[Any]:
    """Split a rule so that everything but this resource may still be listed."""
    if resource not in rule["resources"]:
        return [rule]
    others = [one for one in rule["resources"] if one != resource]
    less = {**rule, "resources": [resource], "verbs": [verb for verb in rule["verbs"] if verb != "list"]}
    return [less, *([{**rule, "resources": others}] if others else [])]


async def _is_forbidden(rest: Rest, path: str) -> bool:
    try:
        await rest.get(path, limit=1)
    except RestError as error:
        return error.status == 403
    return False


@asynccontextmanager
async def _stream(evenkeel: Any, namespace: str) -> AsyncIterator[list[bool]]:
    """Create Pods one after the other, and say of each whether it was injected."""
    found: list[bool] = []

    async def create() -> None:
        while True:
            found.append(injected(await evenkeel.dry_run(namespace)))
            await asyncio.sleep(0.02)

    task = asyncio.create_task(create())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _roll(world: Any, deployment: str) -> None:
    """Begin to replace every replica."""
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{deployment}"
    annotations = {"kubectl.kubernetes.io/restartedAt": str(time.time())}
    await world.rest.patch(path, {"spec": {"template": {"metadata": {"annotations": annotations}}}})


async def _new(evenkeel: Any, deployment: str, old: set[str]) -> Any:
    return next((one for one in evenkeel.replicas(deployment) if one.name not in old), None)


async def _missing(replica: Any) -> list[str]:
    """Give what a replica says is missing, as soon as it is one thing that it was refused."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        answer = await client.get(f"http://{replica.address}:8080/readyz")
    missing: list[str] = answer.json()["missing"]
    return missing if answer.status_code == 503 and len(missing) == 1 and "forbidden" in missing[0] else []


async def _longer(stream: list[bool], length: int) -> bool:
    return len(stream) >= length


async def _is_ready(replica: Any) -> bool:
    return bool(replica.ready)


@asynccontextmanager
async def _process(
    plane: ControlPlane, folder: Path, command: str, account: str, **more: str
) -> AsyncIterator[Program]:
    """Run one of our processes under its own account."""
    env = {
        "EVENKEEL_KUBECONFIG": str(await plane.kubeconfig_for(account, NAMESPACE)),
        "EVENKEEL_SIDECAR_OWN_NAMESPACE": NAMESPACE,
        "EVENKEEL_CERTIFICATE": "self-managed",
        "EVENKEEL_PORT": "0",
        "EVENKEEL_HEALTH_PORT": "0",
        **more,
    }
    program = Program([str(Path(sys.executable).with_name("evenkeel")), command], folder / f"{command}.log", env)
    program.start()
    try:
        yield program
        program.check()
    finally:
        program.kill()


async def _pair(rest: Rest, folder: Path) -> dict[str, str]:
    """Give what a Pod of the control plane of endpoints is given of the Secret, as files."""
    data = decode((await rest.get(SECRET))["data"])
    for key in ("tls.crt", "tls.key"):
        (folder / key).write_bytes(data[key])
    files = {"EVENKEEL_TLS_CERT": "tls.crt", "EVENKEEL_TLS_KEY": "tls.key"}
    return {name: str(folder / key) for name, key in files.items()} | {"EVENKEEL_SIDECAR_XDS_PORT": "0"}


async def _listening(xds: Program) -> int:
    """Give the port that its log names, once it does."""
    lines = [json.loads(line) for line in xds.log.read_text().splitlines() if line.startswith("{")]
    return next((line["port"] for line in lines if (line["event"], line.get("server")) == ("listening", "xds")), 0)


def _on_a_node(document: Any) -> Any:
    """Have a Pod run somewhere, as far as the API server knows."""
    document["spec"]["nodeName"] = NODE_NAME
    return document


def _filled(secret: Any) -> bool:
    return bool(secret.get("data"))


def _held(lease: Any) -> bool:
    return bool(lease["spec"].get("holderIdentity"))


def _balances(live: Any) -> bool:
    return "orders.shop:50051" in live["metadata"]["annotations"][names.STATUS]


def _service() -> Any:
    spec = {"clusterIP": "None", "selector": {"app": "orders"}, "ports": [{"name": "grpc", "port": 50051}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "orders"}, "spec": spec}
