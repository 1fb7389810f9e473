"""What the policies say and forbid, inside the API server: nothing of ours runs while these tests do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.kit.install import pod, until
from tests.cluster.kit.policies import injected_pod, policies_alone, proxyless_pod
from tests.cluster.kit.rest import RestError
from tests.cluster.kit.rest import until as rest_until
from webhook.core import names
from webhook.core.model import Mode
from webhook.core.proxyless import BOOTSTRAP, BOOTSTRAP_FILE

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

SAYS_WHY = (
    "Pod some has no Evenkeel sidecar, so its gRPC calls are not balanced. `evenkeel check` says why."
    f" For a Pod without one on purpose, set its label {names.INJECT}=disabled"
)
LACKS_BOOTSTRAP = (
    "Pod some is proxyless and has no GRPC_XDS_BOOTSTRAP_CONFIG, so it finds no xds:/// name."
    f" `evenkeel check` says why. For a Pod without Evenkeel on purpose, set its label {names.INJECT}=disabled"
)
NAMESPACES = {
    "nothing": {},
    "enabled": {names.INJECT: "enabled"},
    "disabled": {names.INJECT: "disabled"},
    "odd": {names.INJECT: "on"},
    "enforced": {names.INJECT: "enabled", names.ENFORCE: "enabled"},
    "enforced-oddly": {names.INJECT: "enabled", names.ENFORCE: "true"},
    "only-enforced": {names.ENFORCE: "enabled"},
}
WARNS = {
    ("enabled", None): "warn",
    ("enabled", "enabled"): "warn",
    ("enforced-oddly", None): "warn",
    ("enforced-oddly", "enabled"): "warn",
    ("nothing", "enabled"): "opted-in",
    ("odd", "enabled"): "opted-in",
    ("only-enforced", "enabled"): "opted-in",
}
"""What a namespace and a bare Pod say, and which binding warns."""


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def _policies(world) -> AsyncIterator[None]:
    """Have the policies, and namespaces that say all there is to say."""
    async with policies_alone(world):
        for word, labels in NAMESPACES.items():
            await world.namespace(f"policies-{word}", labels)
        await until(lambda: _in_force(world), "in force")
        yield


class TestBarePods:
    """Warned about or denied, whoever forgot them."""

    @pytest.mark.parametrize("own", [None, "enabled", "disabled"])
    @pytest.mark.parametrize("wide", NAMESPACES)
    async def test_what_is_said_of_a_bare_pod(self, world, wide, own) -> None:
        """By the binding for what its namespace says; where that enforces, the Pod is not created."""
        binding = WARNS.get((wide, own))
        labels = {names.INJECT: own} if own else {}

        if wide == "enforced" and own != "disabled":
            with pytest.raises(RestError) as refused:
                await _create(world, wide, pod(labels=labels))
            assert (refused.value.status, refused.value.reason) == (403, "Forbidden")
            assert refused.value.message == f'pods "some" is forbidden: {_validation("deny", denied=True)}'
        else:
            warnings = await _create(world, wide, pod(labels=labels))
            assert warnings == ((_validation(binding),) if binding else ())

    @pytest.mark.parametrize("wide", ["enabled", "enforced"])
    @pytest.mark.parametrize("kind", ["host-network", "mirror", "windows", "windows-selected", "windows-before-1.14"])
    async def test_a_pod_that_cannot_have_one_is_not_missed(self, world, wide, kind) -> None:
        """Nobody warns, nobody denies."""
        assert await _create(world, wide, _without(kind)) == ()

    @pytest.mark.parametrize("wide", NAMESPACES)
    async def test_an_injected_pod_is_not_spoken_of(self, world, wide) -> None:
        """Nor denied, wherever it is."""
        assert await _create(world, wide, injected_pod()) == ()

    @pytest.mark.parametrize("wide", ["enabled", "enforced"])
    async def test_a_proxyless_pod_with_a_bootstrap_is_not_spoken_of(self, world, wide) -> None:
        """Ours or its author's, in one of its containers."""
        ours = proxyless_pod(name="some")

        assert [await _create(world, wide, one) for one in (ours, _proxyless(BOOTSTRAP_FILE))] == [(), ()]

    async def test_a_proxyless_pod_without_a_bootstrap_is_bare(self, world) -> None:
        """It is told so in words of its own, or denied."""
        warnings = await _create(world, "enabled", _proxyless("OTHER"))
        with pytest.raises(RestError) as refused:
            await _create(world, "enforced", _proxyless())

        assert warnings == (_validation("warn", why=LACKS_BOOTSTRAP),)
        assert refused.value.message.endswith(_validation("deny", denied=True, why=LACKS_BOOTSTRAP))

    async def test_another_mode_is_no_excuse(self, world) -> None:
        """Only what the webhook would have understood."""
        document = _proxyless(BOOTSTRAP)
        document["metadata"]["annotations"][names.MODE] = "proxy-less"

        assert await _create(world, "enabled", document) == (_validation("warn"),)

    async def test_a_deployment_s_bare_pods_are_missing_with_the_reason(self, world) -> None:
        """The ReplicaSet's condition says it, where `kubectl describe` shows it."""
        await world.apply([_deployment()], namespace="policies-enforced")
        path = "/apis/apps/v1/namespaces/policies-enforced/replicasets"

        found = await rest_until(world.rest, path, lambda listed: any(map(_failures, listed["items"])))

        (said,) = _failures(found["items"][0])
        assert "has no Evenkeel sidecar, so its gRPC calls are not balanced" in said
        assert await world.pods("policies-enforced") == []


class TestLabels:
    """Words that mean nothing are said where they are written."""

    @pytest.mark.parametrize(
        ("labels", "said"),
        [
            ({names.INJECT: "true"}, [f"{names.INJECT}=true"]),
            ({names.INJECT: ""}, [f"{names.INJECT}="]),
            ({names.ENFORCE: "yes"}, [f"{names.ENFORCE}=yes"]),
            ({names.INJECT: "on", names.ENFORCE: "on"}, [f"{names.INJECT}=on", f"{names.ENFORCE}=on"]),
            ({names.INJECT: "enabled", names.ENFORCE: "disabled"}, []),
            ({names.INJECT: "disabled", "team": "shop"}, []),
            ({}, []),
        ],
    )
    async def test_a_namespace(self, world, labels, said) -> None:
        """Both of our labels, at creation and when they are changed."""
        metadata = {"name": "policies-labels", "labels": labels}
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        expected = tuple(_meaningless("Namespace policies-labels", one) for one in said)

        _, created = await world.rest.post_with_warnings("/api/v1/namespaces", document, dryRun="All")
        changes = {"metadata": {"labels": labels}}
        await world.rest.patch("/api/v1/namespaces/policies-nothing", changes, dryRun="All")

        assert _spoken(created) == expected
        assert _spoken(world.rest.warnings) == tuple(_meaningless("Namespace policies-nothing", one) for one in said)

    @pytest.mark.parametrize(
        ("labels", "said"),
        [
            ({names.INJECT: "Enabled"}, [f"{names.INJECT}=Enabled"]),
            ({names.ENFORCE: "yes"}, []),
            ({names.INJECT: "disabled"}, []),
        ],
    )
    async def test_a_pod(self, world, labels, said) -> None:
        """Only the label that a Pod's author can use."""
        warnings = await _create(world, "nothing", pod(labels=labels))

        assert _spoken(warnings) == tuple(_meaningless("Pod some", one) for one in said)

    @pytest.mark.parametrize(
        ("annotations", "said"),
        [
            ({names.CAPTURE: "on"}, [f"annotation {names.CAPTURE}=on is neither enabled nor disabled"]),
            ({names.DISCOVERY: "eds"}, [f"annotation {names.DISCOVERY}=eds is neither dns nor xds"]),
            ({names.CAPTURE: "enabled", names.DISCOVERY: "xds", "team": "shop"}, []),
        ],
    )
    async def test_annotations_of_a_namespace(self, world, annotations, said) -> None:
        """At creation and when they are changed; on a Pod the webhook itself speaks of them."""
        metadata = {"name": "policies-words", "annotations": annotations}
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}

        _, created = await world.rest.post_with_warnings("/api/v1/namespaces", document, dryRun="All")
        change = {"metadata": {"annotations": annotations}}
        await world.rest.patch("/api/v1/namespaces/policies-nothing", change, dryRun="All")
        changed = world.rest.warnings
        of_a_pod = await _create(world, "nothing", pod(annotations=annotations))

        assert _spoken(created) == tuple(f"Namespace policies-words: {one}, and counts as not set" for one in said)
        assert _spoken(changed) == tuple(f"Namespace policies-nothing: {one}, and counts as not set" for one in said)
        assert of_a_pod == ()

    @pytest.mark.parametrize("key", names.ANNOTATIONS_ON_NAMESPACES)
    async def test_a_label_that_is_an_annotation(self, world, key) -> None:
        """On Namespaces and on Pods: it would mean nothing, and nobody would say so."""
        metadata = {"name": "policies-words", "labels": {key: "enabled"}}
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        _, created = await world.rest.post_with_warnings("/api/v1/namespaces", document, dryRun="All")
        of_a_pod = await _create(world, "nothing", pod(labels={key: "xds"}))

        said = f"{names.CAPTURE} and {names.DISCOVERY} are annotations, and mean nothing as labels"
        assert _spoken(created) == (f"Namespace policies-words: {said}",)
        assert _spoken(of_a_pod) == (f"Pod some: {said}",)

    async def test_once_is_enough(self, world) -> None:
        """Who changes something else of the same object did not write the label."""
        await world.namespace("policies-once", {names.INJECT: "odd"})
        path = "/api/v1/namespaces/policies-once"

        await world.rest.patch(path, {"metadata": {"annotations": {"team": "shop"}}})
        other = world.rest.warnings
        await world.rest.patch(path, {"metadata": {"labels": {"team": "shop"}}})

        assert other == ()
        assert _spoken(world.rest.warnings) == (_meaningless("Namespace policies-once", f"{names.INJECT}=odd"),)


async def _in_force(world: Any) -> bool:
    """Say whether every policy that speaks to everybody does so yet."""
    said = [await _create(world, wide, pod(labels={names.INJECT: "enabled"})) for wide in ("nothing", "enabled")]
    odd = await _create(world, "disabled", pod(labels={names.INJECT: "odd"}))
    try:
        await _create(world, "enforced", pod())
    except RestError as error:
        return error.status == 403 and all(said) and bool(odd)
    return False


async def _create(world: Any, word: str, document: Any) -> tuple[str, ...]:
    path = f"/api/v1/namespaces/policies-{word}/pods"
    warnings: tuple[str, ...]
    _, warnings = await world.rest.post_with_warnings(path, document, dryRun="All")
    # Kubernetes has something to say about its own old labels.
    return tuple(one for one in warnings if "deprecated since" not in one)


def _validation(binding: str | None, *, denied: bool = False, why: str = SAYS_WHY) -> str:
    policy = f"ValidatingAdmissionPolicy 'evenkeel-bare-pods' with binding 'evenkeel-bare-pods-{binding}'"
    return f"{policy} denied request: {why}" if denied else f"Validation failed for {policy}: {why}"


def _meaningless(whose: str, label: str) -> str:
    return f"{whose}: label {label} is neither enabled nor disabled, and counts as not set"


def _spoken(warnings: tuple[str, ...]) -> tuple[str, ...]:
    begin = "Validation failed for ValidatingAdmissionPolicy 'evenkeel-labels' with binding 'evenkeel-labels': "
    assert all(one.startswith(begin) for one in warnings)
    return tuple(one.removeprefix(begin) for one in warnings)


def _without(kind: str) -> Any:
    document = pod()
    spec = document["spec"]
    if kind == "mirror":
        document["metadata"]["annotations"] = {names.MIRROR_POD: "4ba5"}
        spec["nodeName"] = "node-1"
    elif kind == "host-network":
        spec["hostNetwork"] = True
    elif kind == "windows":
        spec["os"] = {"name": "windows"}
        del spec["containers"][0]["securityContext"]
    else:
        spec["nodeSelector"] = {names.OS_LABEL if kind == "windows-selected" else f"beta.{names.OS_LABEL}": "windows"}
    return document


def _proxyless(*variables: str) -> Any:
    document = pod(annotations={names.MODE: Mode.PROXYLESS.value})
    document["spec"]["containers"][0]["env"] = [{"name": name, "value": "x"} for name in variables]
    return document


def _deployment() -> Any:
    labels = {"app": "bare"}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod()["spec"]},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "bare"}, "spec": spec}


def _failures(replica_set: Any) -> list[str]:
    conditions = replica_set.get("status", {}).get("conditions") or ()
    return [one["message"] for one in conditions if one["type"] == "ReplicaFailure"]
