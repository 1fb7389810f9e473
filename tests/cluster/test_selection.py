"""Which Pods reach the webhook, and what becomes of them: every selector and condition of the shipped entries.

The API server counts the calls that it made, our replicas those that they answered; both counts are exact.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.kit.calls import BY_NAMESPACE, BY_POD, answers, calls
from tests.cluster.kit.install import NAMESPACE, injected, pod, until
from tests.cluster.kit.rest import STRATEGIC
from tests.cluster.kit.rest import until as rest_until
from webhook.core import names

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

WORDS = {"nothing": None, "enabled": "enabled", "disabled": "disabled", "odd": "yes"}
ENTRY = {
    ("enabled", "nothing"): BY_NAMESPACE,
    ("enabled", "enabled"): BY_NAMESPACE,
    ("enabled", "odd"): BY_NAMESPACE,
    ("nothing", "enabled"): BY_POD,
    ("odd", "enabled"): BY_POD,
}
"""What a namespace and its Pod say, and who is called then; nobody in all other cases."""
INJECTED = {"injected selected": 1}
SYSTEM = ("kube-system", "kube-public", "kube-node-lease", NAMESPACE)
NO_SIDECAR = "has no Evenkeel sidecar, so its gRPC calls are not balanced."
BARE = (
    "Validation failed for ValidatingAdmissionPolicy 'evenkeel-bare-pods' with binding 'evenkeel-bare-pods-warn': "
    f"Pod some {NO_SIDECAR} `evenkeel check` says why. "
    f"For a Pod without one on purpose, set its label {names.INJECT}=disabled"
)
SKIPS = {
    "port-conflict": (
        {"containers": [{"name": "app", "image": "x", "ports": [{"containerPort": 15001}]}]},
        {},
        ("evenkeel: no sidecar (port-conflict): container 'app' declares port 15001, which the sidecar binds", BARE),
    ),
    "other-mesh": (
        {},
        {"linkerd.io/inject": "enabled"},
        ("evenkeel: no sidecar (other-mesh): label linkerd.io/inject=enabled asks for Linkerd's proxy", BARE),
    ),
    "windows-node": (
        {"nodeSelector": {"kubernetes.io/os": "windows"}},
        {},
        ("evenkeel: no sidecar (windows-node): the pod is for Windows nodes, the sidecar runs on Linux",),
    ),
}
"""By reason: what the Pod is, its labels, and what its author is told. A Windows Pod cannot have a sidecar."""


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def _namespaces(world, evenkeel) -> None:
    """Have a namespace for everything that one can say."""
    for word, value in WORDS.items():
        await world.namespace(f"selection-{word}", _label(value))


@pytest.mark.parametrize("own", WORDS)
@pytest.mark.parametrize("wide", WORDS)
async def test_who_is_called(world, evenkeel, wide, own) -> None:
    """One call of one entry, or none at all."""
    entry = ENTRY.get((wide, own))

    async with calls(world) as made, answers(evenkeel) as given:
        created, _ = await _create(world, f"selection-{wide}", _pod(labels=_label(WORDS[own])))

    assert made == ({entry: 1} if entry else {})
    assert given == (INJECTED if entry else {})
    assert injected(created) is (entry is not None)


async def test_the_sidecar_of_a_pod_with_a_token_has_none(world, evenkeel) -> None:
    """Kubernetes mounts it into the app only, so nothing changes after us and the API server does not ask again."""
    async with calls(world) as made, answers(evenkeel) as given:
        created, _ = await _create(world, "selection-enabled", pod())

    (sidecar,) = created["spec"]["initContainers"]
    (token,) = (volume["name"] for volume in created["spec"]["volumes"] if "projected" in volume)
    assert (made, given) == ({BY_NAMESPACE: 1}, INJECTED)
    assert token in {mount["name"] for mount in created["spec"]["containers"][0]["volumeMounts"]}
    assert {mount["name"] for mount in sidecar["volumeMounts"]} == {names.VOLUME}


async def test_system_namespaces_are_left_alone_whatever_their_label(world, evenkeel) -> None:
    """Kubernetes' own and ours, even for Pods that ask for themselves."""
    try:
        for namespace in SYSTEM:
            await _say(world, namespace, "enabled")
        # The API server hears of labels in the order in which they are written: with this one it knows those above.
        await world.namespace("selection-witness", _label("enabled"))
        await _until_injected(evenkeel, "selection-witness", wanted=True)

        async with calls(world) as made, answers(evenkeel) as given:
            created = [
                await evenkeel.dry_run(namespace, labels=_label(own))
                for namespace in SYSTEM
                for own in (None, "enabled")
            ]
    finally:
        for namespace in SYSTEM:
            await _say(world, namespace, None)

    assert (made, given) == ({}, {})
    assert [injected(one) for one in created] == [False] * 8


@pytest.mark.parametrize("kind", ["host-network", "mirror"])
@pytest.mark.parametrize(("wide", "entry"), [("enabled", BY_NAMESPACE), ("nothing", BY_POD)])
async def test_what_no_sidecar_can_be_in_is_dropped_by_a_condition(world, evenkeel, wide, entry, kind) -> None:
    """By the API server, so that nobody is called; neither is it told that anything were wrong."""
    document = pod(labels=_label("enabled"))
    if kind == "mirror":
        document["metadata"]["annotations"] = {names.MIRROR_POD: "4ba5"}
        document["spec"]["nodeName"] = "node-1"
    else:
        document["spec"]["hostNetwork"] = True

    async with calls(world) as made, answers(evenkeel) as given:
        created, warnings = await _create(world, f"selection-{wide}", document)

    assert (made, given) == ({f"not {entry}": 1}, {})
    assert not injected(created)
    assert warnings == ()


@pytest.mark.parametrize("reason", SKIPS)
async def test_what_only_we_can_see_is_skipped_by_us_and_said(world, evenkeel, reason) -> None:
    """The reason comes back as a warning; the policy warns as well where the Pod could have had a sidecar."""
    spec, labels, sentences = SKIPS[reason]
    document = pod(labels=labels)
    document["spec"] |= spec

    async with calls(world) as made, answers(evenkeel) as given:
        created, warnings = await _create(world, "selection-enabled", document)

    assert (made, given) == ({BY_NAMESPACE: 1}, {f"skipped {reason}": 1})
    assert not injected(created)
    assert warnings == sentences


async def test_only_creation_reaches_us(world, evenkeel) -> None:
    """Updates, debug containers, statuses, bindings, evictions and deletions do not."""
    pods = "/api/v1/namespaces/selection-enabled/pods"
    one = f"{pods}/changed"
    debugger = {"name": "debugger", "image": "docker.io/library/busybox:1", "targetContainerName": "app"}
    async with calls(world) as made, answers(evenkeel) as given:
        created = await world.rest.post(pods, _pod(name="changed"))
    assert injected(created)
    assert (made, given) == ({BY_NAMESPACE: 1}, INJECTED)

    async with calls(world) as made, answers(evenkeel) as given:
        await world.rest.patch(one, {"metadata": {"labels": {"app": "changed"}}})
        await world.rest.patch(f"{one}/ephemeralcontainers", {"spec": {"ephemeralContainers": [debugger]}}, STRATEGIC)
        await world.rest.patch(f"{one}/status", {"status": {"message": "changed"}}, STRATEGIC)
        await world.rest.post(f"{one}/binding", _binding("changed"))
        await world.rest.post(f"{one}/eviction", _eviction("changed"))
        await world.rest.delete(one, {"gracePeriodSeconds": 0})

    assert (made, given) == ({}, {})


async def test_an_injected_pod_passes_where_bare_ones_are_denied(world, evenkeel) -> None:
    """And nobody has anything to say about it."""
    await world.namespace("selection-enforced", {**_label("enabled"), names.ENFORCE: "enabled"})

    created, warnings = await _create(world, "selection-enforced", pod())

    assert injected(created)
    assert warnings == ()


async def test_a_new_label_counts_for_pods_made_from_then_on(world, evenkeel) -> None:
    """Those that live go on as they are, with a sidecar or without."""
    where = "selection-relabelled"
    await world.namespace(where, _label("enabled"), run=True)
    with_one = await _running(world, where, "with-one")

    await _say(world, where, None)
    await _until_injected(evenkeel, where, wanted=False)
    without = await _running(world, where, "without")
    await _say(world, where, "enabled")
    await _until_injected(evenkeel, where, wanted=True)
    late = await _running(world, where, "late")

    assert [injected(one) for one in (with_one, without, late)] == [True, False, True]
    for before in (with_one, without):
        now = await world.rest.get(f"/api/v1/namespaces/{where}/pods/{before['metadata']['name']}")
        assert _identity(now) == _identity(before)


def _pod(**metadata: Any) -> Any:
    """Make a Pod that no plugin of the API server adds anything to once it is injected: one call says it all."""
    document = pod(**metadata)
    document["spec"]["automountServiceAccountToken"] = False
    return document


def _label(value: str | None) -> dict[str, str]:
    return {names.INJECT: value} if value else {}


async def _say(world: Any, namespace: str, value: str | None) -> None:
    await world.rest.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {names.INJECT: value}}})


async def _until_injected(evenkeel: Any, namespace: str, *, wanted: bool) -> None:
    async def holds() -> bool:
        return injected(await evenkeel.dry_run(namespace)) is wanted

    await until(holds, f"{namespace} injected: {wanted}")


async def _create(world: Any, namespace: str, document: Any) -> tuple[Any, tuple[str, ...]]:
    found: tuple[Any, tuple[str, ...]]
    found = await world.rest.post_with_warnings(f"/api/v1/namespaces/{namespace}/pods", document, dryRun="All")
    return found


async def _running(world: Any, namespace: str, name: str) -> Any:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    await world.rest.post(pods, pod(name=name))
    return await rest_until(world.rest, f"{pods}/{name}", lambda one: one["status"].get("phase") == "Running")


def _identity(found: Any) -> Any:
    """Give everything that a change would show in: the Pod's uid, what it carries, and its containers' restarts."""
    meta, status = found["metadata"], found["status"]
    statuses = (*(status.get("initContainerStatuses") or ()), *status["containerStatuses"])
    restarts = Counter({one["name"]: one["restartCount"] for one in statuses})
    return meta["uid"], meta.get("annotations"), meta.get("labels"), found["spec"], restarts


def _binding(name: str) -> dict[str, Any]:
    target = {"apiVersion": "v1", "kind": "Node", "name": "node-1"}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}


def _eviction(name: str) -> dict[str, Any]:
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "selection-enabled"}}
