"""What the reconciler's account may change of a Pod, whatever its role says and whoever holds its token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.kit.install import NAMESPACE, RECONCILER, until
from tests.cluster.kit.policies import injected_pod, policies_alone
from tests.cluster.kit.rest import STRATEGIC, Rest, RestError
from tests.cluster.kit.rest import until as rest_until
from webhook.core import names

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

LIVE = "policy-reconciler"
PODS = f"/api/v1/namespaces/{LIVE}/pods"
ONLY_OURS = "the reconciler may change only Evenkeel's own annotations:"
FORBIDDEN = {
    "a new label": ({"metadata": {"labels": {"app": "other"}}}, "metadata.labels"),
    "our own label": ({"metadata": {"labels": {names.INJECTED: None}}}, "metadata.labels"),
    "the bootstrap": ({"metadata": {"annotations": {names.BOOTSTRAP: "{}"}}}, "another annotation"),
    "no bootstrap": ({"metadata": {"annotations": {names.BOOTSTRAP: None}}}, "another annotation"),
    "where the token is": ({"metadata": {"annotations": {names.IDENTITY: "{}"}}}, "another annotation"),
    "what the author says": ({"metadata": {"annotations": {names.UPSTREAMS: "orders"}}}, "another annotation"),
    "a stranger's annotation": ({"metadata": {"annotations": {"team": "other"}}}, "another annotation"),
    "no such annotation": ({"metadata": {"annotations": {"team": None}}}, "another annotation"),
    "an image": ({"spec": {"containers": [{"name": "app", "image": "evil"}]}}, "spec"),
    "a deadline": ({"spec": {"activeDeadlineSeconds": 5}}, "spec"),
    "a toleration": ({"spec": {"tolerations": [{"key": "a", "operator": "Exists"}]}}, "spec"),
    "a finalizer": ({"metadata": {"finalizers": ["example.com/stay"]}}, "metadata.finalizers"),
    "an owner": (
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "b"}]}},
        "metadata.ownerReferences",
    ),
    "one of ours and a label": (
        {"metadata": {"annotations": {names.ROUTES: "{}"}, "labels": {"app": "other"}}},
        "metadata.labels",
    ),
}
"""A change, and what the policy says of it."""
PARTS = {
    "status": ({"status": {"message": "mine"}}, "status"),
    "ephemeralcontainers": ({"spec": {"ephemeralContainers": [{"name": "in", "image": "evil"}]}}, "spec"),
    "resize": ({"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "2"}}}]}}, "spec"),
}
"""By subresource of a Pod: a change, and what the policy says of it."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def reconciler(world) -> AsyncIterator[Rest]:
    """Be the reconciler's account, in a cluster with the policies and one injected Pod."""
    await world.namespace(LIVE)
    await world.rest.post(PODS, injected_pod(name="probe", annotations={"team": "shop"}))
    async with policies_alone(world), Rest(await world.plane.kubeconfig_for(RECONCILER, NAMESPACE)) as rest:

        async def refused() -> bool:
            refusal = await _refusal(rest, "probe", {"metadata": {"labels": {"a": "b"}}})
            return refusal is not None and ONLY_OURS in refusal.message

        await until(refused, "guarded")
        yield rest


@pytest.mark.parametrize("key", names.REFRESHED)
@pytest.mark.parametrize("value", ["{}", None])
async def test_may_write_the_annotations_that_envoy_reads_again(world, reconciler, key, value) -> None:
    """Set them, or take them away."""
    changed = await reconciler.patch(
        f"{PODS}/probe", {"metadata": {"annotations": {key: value}}}, STRATEGIC, dryRun="All"
    )

    assert changed["metadata"]["annotations"].get(key) == value
    assert reconciler.warnings == ()


@pytest.mark.parametrize("what", FORBIDDEN)
async def test_may_change_nothing_else(reconciler, what) -> None:
    """The message says what differs."""
    change, differs = FORBIDDEN[what]

    refused = await _refusal(reconciler, "probe", change)

    assert refused is not None
    assert (refused.status, refused.message.partition(ONLY_OURS)[2]) == (403, f" {differs} differs")


@pytest.mark.parametrize("what", FORBIDDEN)
async def test_others_are_not_concerned(world, reconciler, what) -> None:
    """An administrator may do each of these."""
    change, _ = FORBIDDEN[what]

    await world.rest.patch(f"{PODS}/probe", change, STRATEGIC, dryRun="All")

    assert world.rest.warnings == ()


@pytest.mark.parametrize("part", PARTS)
async def test_its_role_keeps_it_from_the_other_parts_of_a_pod(reconciler, part) -> None:
    """Before any policy is asked."""
    refused = await _refusal(reconciler, f"probe/{part}", PARTS[part][0])

    assert refused is not None
    assert f'cannot patch resource "pods/{part}"' in refused.message


async def test_a_role_that_allows_too_much_does_not_help(world, reconciler) -> None:
    """What its own role keeps from it, the policy guards all the same."""
    await world.apply([_too_much()])
    try:
        await rest_until(reconciler, "/api/v1/nodes", bool, refused=(403,))
        refused = {part: await _refusal(reconciler, f"probe/{part}", change) for part, (change, _) in PARTS.items()}
    finally:
        await world.delete([_too_much()])

    said = {part: refusal and refusal.message.partition(ONLY_OURS)[2] for part, refusal in refused.items()}
    assert said == {part: f" {differs} differs" for part, (_, differs) in PARTS.items()}


async def _refusal(rest: Rest, name: str, change: Any) -> RestError | None:
    try:
        await rest.patch(f"{PODS}/{name}", change, STRATEGIC, dryRun="All")
    except RestError as error:
        return error
    return None


def _too_much() -> Any:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"kind": "ServiceAccount", "name": RECONCILER, "namespace": NAMESPACE}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "too-much"},
        "roleRef": role,
        "subjects": [subject],
    }
