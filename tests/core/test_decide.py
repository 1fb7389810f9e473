"""Who gets a sidecar: the truth table, and what comes before and after it."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders
from webhook.core.decide import decide, is_our_container, is_our_volume, name_clashes
from webhook.core.model import Namespace, SidecarSettings
from webhook.core.outcome import Inject, Skip, SkipReason

LABEL = "evenkeel.dev/inject"
PROXY = {
    "name": "evenkeel-proxy",
    "image": "envoy",
    "restartPolicy": "Always",
    "volumeMounts": [{"name": "evenkeel-config", "mountPath": "/etc/evenkeel"}],
}
VOLUME = {
    "name": "evenkeel-config",
    "downwardAPI": {"items": [{"fieldRef": {"fieldPath": "metadata.annotations['evenkeel.dev/bootstrap']"}}]},
}
FILES = {f"evenkeel.dev/{name}": "{}" for name in ("bootstrap", "clusters", "routes", "listeners")}


def reason(selected_by: Namespace | None = None, /, **pod: Any) -> str:
    """Give `inject` or the code of the skip."""
    decision = decide(builders.view_of_pod(**pod), selected_by, SidecarSettings())
    match decision:
        case Skip():
            return str(decision.reason)
        case Inject():
            return "inject"


@pytest.mark.parametrize(
    ("namespace", "pod", "expected"),
    [
        ("enabled", None, "inject"),
        ("enabled", "enabled", "inject"),
        ("enabled", "disabled", "disabled"),
        ("enabled", "other", "inject"),
        (None, None, "not-selected"),
        (None, "enabled", "inject"),
        (None, "disabled", "disabled"),
        (None, "other", "not-selected"),
        ("disabled", None, "namespace-disabled"),
        ("disabled", "enabled", "namespace-disabled"),
        ("disabled", "disabled", "namespace-disabled"),
        ("disabled", "other", "namespace-disabled"),
        ("other", None, "not-selected"),
        ("other", "enabled", "inject"),
        ("other", "disabled", "disabled"),
        ("other", "other", "not-selected"),
    ],
    ids=lambda value: value or "-",
)
def test_truth_table(namespace: str | None, pod: str | None, expected: str) -> None:
    """The Pod's label over the Namespace's; any value but the two counts as not set."""
    labels = {LABEL: namespace} if namespace else {}

    actual = reason(Namespace("shop", labels), labels={LABEL: pod} if pod else {})

    assert expected == actual


@pytest.mark.parametrize(
    ("pod", "expected"), [(None, "inject"), ("enabled", "inject"), ("other", "inject"), ("disabled", "disabled")]
)
def test_who_was_selected_by_the_api_server_has_only_its_own_word(pod: str | None, expected: str) -> None:
    """At `/mutate` the Namespace is not known, and need not be."""
    actual = reason(None, labels={LABEL: pod} if pod else {})

    assert expected == actual


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ({"namespace": "kube-system", "hostNetwork": True}, SkipReason.SYSTEM_NAMESPACE),
        ({"annotations": {"kubernetes.io/config.mirror": ""}, "hostNetwork": True}, SkipReason.MIRROR_POD),
        ({"hostNetwork": True, "os": {"name": "windows"}}, SkipReason.HOST_NETWORK),
        ({"os": {"name": "windows"}, "labels": {"istio.io/rev": "x"}}, SkipReason.WINDOWS),
        ({"labels": {"istio.io/rev": "x", LABEL: "disabled"}}, SkipReason.DISABLED),
    ],
)
def test_the_first_reason_of_several_is_told(pod: dict[str, Any], expected: SkipReason) -> None:
    """What the author chose goes before where the Pod runs, and that before what is in it."""
    actual = reason(**pod)

    assert expected == actual


def test_already_injected_goes_before_our_own_port() -> None:
    """Our container declares a port of ours; that is no conflict."""
    proxy = {**PROXY, "ports": [{"containerPort": 19021}]}

    actual = reason(initContainers=[proxy], volumes=[VOLUME], annotations=FILES)

    assert actual == SkipReason.ALREADY_INJECTED


@pytest.mark.parametrize(
    "pod",
    [
        {"initContainers": [PROXY]},
        {"initContainers": [PROXY], "volumes": [VOLUME]},
        {"initContainers": [PROXY], "annotations": FILES},
        {"initContainers": [PROXY], "volumes": [VOLUME], "annotations": {**FILES, "evenkeel.dev/routes": ""}},
    ],
    ids=["container", "container and volume", "container and annotations", "an annotation is empty"],
)
def test_our_container_without_all_its_parts_is_rendered_again(pod: dict[str, Any]) -> None:
    """A copy made by `kubectl debug` would never start without its files."""
    assert reason(**pod) == "inject"


@pytest.mark.parametrize("key", ["sidecar.istio.io/inject", "linkerd.io/inject", "kuma.io/sidecar-injection"])
@pytest.mark.parametrize("holder", ["labels", "annotations"])
def test_another_mesh_is_seen_in_labels_and_annotations(key: str, holder: str) -> None:
    """Each mesh moved its switch from one to the other at some time."""
    value = "true" if "istio" in key else "enabled"

    assert reason(**{holder: {key: value}}) == SkipReason.OTHER_MESH
    assert reason(**{holder: {key: "no"}}) == "inject"


def test_a_skip_names_what_it_saw() -> None:
    """The sentence names the container and the port."""
    pod = builders.view_of_pod(containers=[builders.container("api", ports=[{"containerPort": 9001}])])

    decision = decide(pod, None, SidecarSettings())

    assert isinstance(decision, Skip)
    assert "'api'" in decision.detail
    assert "9001" in decision.detail


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"restartPolicy": "Never"},
        {"restartPolicy": None},
        {"volumeMounts": []},
        {"volumeMounts": None},
    ],
    ids=str,
)
def test_a_container_is_ours_only_with_every_mark(change: dict[str, Any]) -> None:
    """Somebody else's container that merely has our name is not taken away."""
    assert is_our_container(PROXY)
    assert not is_our_container({**PROXY, **change})


@pytest.mark.parametrize(
    "source",
    [
        {"emptyDir": {}},
        {"downwardAPI": None},
        {"downwardAPI": {"items": None}},
        {"downwardAPI": {"items": ["x", {"fieldRef": None}, {"fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ],
    ids=str,
)
def test_a_volume_is_ours_only_with_every_mark(source: dict[str, Any]) -> None:
    """Somebody else's volume that merely has our name is not taken away."""
    assert is_our_volume(VOLUME)
    assert not is_our_volume({"name": "evenkeel-config", **source})


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ({"initContainers": [PROXY], "volumes": [VOLUME]}, []),
        ({"containers": [builders.container("evenkeel-proxy")]}, ["spec.containers"]),
        ({"initContainers": [builders.container("evenkeel-proxy")]}, ["spec.initContainers"]),
        ({"initContainers": [PROXY, PROXY]}, ["spec.initContainers"]),
        ({"volumes": [VOLUME, VOLUME]}, ["spec.volumes"]),
        ({"volumes": [{"name": "evenkeel-config", "emptyDir": {}}]}, ["spec.volumes"]),
    ],
)
def test_name_clashes(pod: dict[str, Any], expected: list[str]) -> None:
    """Each use of our names for something else is told with its place."""
    actual = [clash.partition(":")[0] for clash in name_clashes(builders.view_of_pod(**pod))]

    assert expected == actual
