"""`evenkeel check` on a real cluster: before, after, and with faults made on purpose, each found and named."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.cluster.kit import command, install
from tests.cluster.kit.command import checked
from tests.cluster.kit.identity import Authority
from tests.cluster.kit.install import WEBHOOK, injected
from tests.cluster.kit.rest import JSON_PATCH
from webhook.core import names

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_HOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/evenkeel"


def _service(name: str = "orders", **annotations: str) -> dict[str, Any]:
    spec = {"clusterIP": "None", "selector": {"app": name}, "ports": [{"name": "grpc", "port": 50051}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "annotations": annotations}, "spec": spec}


def _deployment(name: str, **annotations: str) -> dict[str, Any]:
    labels = {"app": name}
    pod = install.pod()
    template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


@asynccontextmanager
async def _shop(world, name: str, *objects: dict[str, Any]) -> AsyncIterator[str]:
    """Have a labelled namespace for a while: `check` looks at all of them."""
    await world.namespace(name, {names.INJECT: names.ENABLED})
    try:
        await world.apply(objects, namespace=name)
        yield name
    finally:
        await world.rest.patch(f"/api/v1/namespaces/{name}", {"metadata": {"labels": {names.INJECT: None}}})


async def test_before_an_installation_everything_it_needs_is_there(world) -> None:
    """Version, kubelets, APIs and permissions."""
    found = await checked(world.plane.kubeconfig, "--pre")

    assert found["code"]["result"] == 0
    assert {found[name]["result"] for name in ("api-version", "kubelet-version", "admission-api", "permissions")} == {
        "ok"
    }


async def test_before_an_installation_missing_permissions_are_named(world) -> None:
    """Somebody who may do nothing hears what he may not."""
    found = await checked(world.plane.kubeconfig_of("nobody"), "--pre")

    assert (found["code"]["result"], found["permissions"]["result"]) == (1, "failed")
    assert any("mutatingwebhookconfigurations" in line for line in found["permissions"]["found"])


async def test_after_an_installation_nothing_is_wrong(world, evenkeel) -> None:
    """With a labelled namespace that has a Service to balance over."""
    async with _shop(world, "check-healthy", _service()):
        found = await checked(world.plane.kubeconfig)

    wrong = {name: one for name, one in found.items() if one["result"] == "failed"}
    assert wrong == {}
    assert found["dry-run"]["result"] == "ok"


async def test_without_an_installation_it_is_said_that_there_is_none(world) -> None:
    """And nothing else is guessed at."""
    ran = await command.evenkeel("check", "--system-namespace", "elsewhere", kubeconfig=world.plane.kubeconfig)

    assert ran.code == 1
    assert "elsewhere" in ran.out


async def test_a_wrong_ca_bundle_is_found(world, evenkeel) -> None:
    """The API server could call us and will not: the check says whose signature is missing."""
    hooks = await world.rest.get(_HOOKS)
    async with _shop(world, "check-bundle", _service()), _paused(evenkeel):
        wrong = b64encode(Authority.create("somebody else").pair.cert).decode()
        await world.rest.patch(
            _HOOKS,
            [
                {"op": "replace", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": wrong}
                for index in range(len(hooks["webhooks"]))
            ],
            JSON_PATCH,
        )
        found = await checked(world.plane.kubeconfig)

    assert (found["code"]["result"], found["ca-agreement"]["result"]) == (1, "failed")
    assert found["dry-run"]["result"] == "failed"


@asynccontextmanager
async def _paused(evenkeel) -> AsyncIterator[None]:
    """Have nobody who mends the caBundle; our replicas would within seconds."""
    role = await evenkeel.world.rest.get(f"{_RBAC}/clusterroles/{WEBHOOK}")
    rules = [rule for rule in role["rules"] if "patch" not in rule["verbs"]]
    await evenkeel.world.rest.patch(f"{_RBAC}/clusterroles/{WEBHOOK}", {"rules": rules})
    try:
        yield
    finally:
        await evenkeel.world.rest.patch(f"{_RBAC}/clusterroles/{WEBHOOK}", {"rules": role["rules"]})
        await evenkeel.called()


async def test_missing_rbac_is_found(world, evenkeel) -> None:
    """Every verb that the account lacks is named."""
    path = f"{_RBAC}/clusterrolebindings/{WEBHOOK}"
    binding = await world.rest.get(path)
    await world.rest.delete(path)
    try:
        found = await checked(world.plane.kubeconfig)
    finally:
        await world.rest.apply({key: binding[key] for key in ("apiVersion", "kind", "roleRef", "subjects")} | {
            "metadata": {"name": WEBHOOK, "labels": binding["metadata"]["labels"]}
        })  # fmt: skip

    assert found["rbac"]["result"] == "failed"
    assert any("services" in line and "list" in line for line in found["rbac"]["found"])


async def test_a_webhook_that_is_down_is_found(world, evenkeel) -> None:
    """No replica, no endpoint, and the dry run comes back bare."""
    async with _shop(world, "check-down", _service()):
        await evenkeel.scale(WEBHOOK, 0)
        try:
            found = await checked(world.plane.kubeconfig)
        finally:
            await evenkeel.scale(WEBHOOK, 2)
            await evenkeel.called()

    results = {name: found[name]["result"] for name in ("webhook-ready", "service-endpoints", "dry-run")}
    assert set(results.values()) == {"failed"}, results


async def test_a_service_that_is_not_headless_is_found(world, evenkeel) -> None:
    """It looks like gRPC and would not be balanced."""
    service = _service("prices")
    del service["spec"]["clusterIP"]
    async with _shop(world, "check-cluster-ip", service):
        found = await checked(world.plane.kubeconfig)

    assert found["not-headless"]["result"] == "warning"
    assert any("check-cluster-ip/prices" in line for line in found["not-headless"]["found"])


async def test_a_typo_in_an_annotation_is_found(world, evenkeel) -> None:
    """On a workload and on a Service, with the nearest key that there is."""
    typo = {f"{names.DOMAIN}/upstream-s": "orders"}
    async with _shop(
        world, "check-typo", _service("orders", **{names.LB_POLICY: "fastest"}), _deployment("web", **typo)
    ):
        found = await checked(world.plane.kubeconfig)

    assert any("upstream-s" in line and names.UPSTREAMS in line for line in found["workload-annotations"]["found"])
    assert any("fastest" in line for line in found["service-annotations"]["found"])


async def test_a_live_pod_is_explained(world, evenkeel) -> None:
    """What it carries, and that it is what it should carry."""
    async with _shop(world, "check-explain", _service()):
        created = await world.rest.post("/api/v1/namespaces/check-explain/pods", install.pod())
        asked = ("explain", "pod/some", "-n", "check-explain", "--output", "json")
        ran = await command.evenkeel(*asked, kubeconfig=world.plane.kubeconfig)

    assert injected(created)
    assert ran.code == 0, ran.err
    assert "orders.check-explain:50051" in ran.out


async def test_what_is_wrong_is_said_when_it_is_applied(world, evenkeel) -> None:
    """To whoever applies it; what is fine is taken in silence, and nothing is denied."""
    typo = {f"{names.DOMAIN}/upstream-s": "orders"}
    await world.namespace("check-warnings", {names.INJECT: names.ENABLED})
    fine = await world.apply([_service(), _deployment("quiet")], namespace="check-warnings")
    told = await world.apply([_deployment("web", **typo)], namespace="check-warnings")

    assert fine == []
    assert len(told) == 1
    assert "upstream-s" in told[0]
    assert await world.exists("/apis/apps/v1/namespaces/check-warnings/deployments/web")
