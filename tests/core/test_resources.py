"""CPU and memory of the sidecar; the classes of whole Pods are in test_invariants.py."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import container, view_of_pod
from webhook.core.annotations import read_pod_annotations
from webhook.core.model import Resources, SidecarSettings
from webhook.core.resources import has_pod_level_resources, is_guaranteed, sidecar_resources

FIXED = {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}


def amounts(guaranteed: bool, **words: str) -> tuple[str, str, str, str] | list[str]:
    """Give (cpu request, cpu limit, memory request, memory limit), or what is wrong."""
    pod = view_of_pod(containers=[container(**FIXED if guaranteed else {})])
    annotations = {f"evenkeel.dev/proxy-{key.replace('_', '-')}": value for key, value in words.items()}
    overrides = read_pod_annotations({}, annotations).overrides
    found, problems = sidecar_resources(pod, overrides, SidecarSettings())
    assert found is not None
    return list(problems) or (found.cpu_request, found.cpu_limit, found.memory_request, found.memory_limit)


@pytest.mark.parametrize(
    ("guaranteed", "words", "expected"),
    [
        (False, {}, ("50m", "2", "96Mi", "512Mi")),
        (False, {"cpu_request": "10m"}, ("10m", "2", "96Mi", "512Mi")),
        (False, {"cpu_limit": "1"}, ("50m", "1", "96Mi", "512Mi")),
        (False, {"cpu_request": "2"}, ("2", "2", "96Mi", "512Mi")),
        (False, {"cpu_request": "2001m"}, ("2001m", "2001m", "96Mi", "512Mi")),
        (False, {"cpu_limit": "49m"}, ("49m", "49m", "96Mi", "512Mi")),
        (False, {"memory_request": "1Gi"}, ("50m", "2", "1Gi", "1Gi")),
        (False, {"memory_limit": "64Mi"}, ("50m", "2", "64Mi", "64Mi")),
        (False, {"memory_request": "1Gi", "memory_limit": "1024Mi"}, ("50m", "2", "1Gi", "1024Mi")),
        (True, {}, ("250m", "250m", "512Mi", "512Mi")),
        (True, {"cpu_request": "1"}, ("1", "1", "512Mi", "512Mi")),
        (True, {"memory_limit": "256Mi"}, ("250m", "250m", "256Mi", "256Mi")),
        (True, {"cpu_request": "1", "cpu_limit": "1000m"}, ("1000m", "1000m", "512Mi", "512Mi")),
    ],
)
def test_merged(guaranteed: bool, words: dict[str, str], expected: Any) -> None:
    """One annotation changes its own amount, and the other only where both could not stand together."""
    actual = amounts(guaranteed, **words)

    assert expected == actual


@pytest.mark.parametrize(
    ("guaranteed", "words", "part"),
    [
        (False, {"cpu_request": "2", "cpu_limit": "1999m"}, "a request above its limit cannot be"),
        (False, {"memory_request": "1Gi", "memory_limit": "1G"}, "a request above its limit cannot be"),
        (True, {"cpu_request": "1", "cpu_limit": "2"}, "Guaranteed and would no longer be"),
    ],
)
def test_what_cannot_be(guaranteed: bool, words: dict[str, str], part: str) -> None:
    """Kubernetes would refuse the Pod, or change its class: the author is told instead."""
    actual = amounts(guaranteed, **words)

    assert len(actual) == 1
    assert part in actual[0]


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, True),
        ({"limits": {"cpu": 1, "memory": 1000000}, "requests": {"cpu": "1000m"}}, True),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "0"}}, False),
        ({"limits": {"cpu": "1"}}, False),
        ({"limits": {"cpu": "0", "memory": "1Gi"}}, False),
        ({"limits": {"cpu": "one", "memory": "1Gi"}}, False),
        ({"requests": {"cpu": "1", "memory": "1Gi"}}, False),
        ({"limits": None}, False),
        (None, False),
    ],
)
def test_guaranteed(resources: Any, expected: bool) -> None:
    """Limits for both, and requests that are equal or not said."""
    assert is_guaranteed(view_of_pod(containers=[container(resources=resources)])) is expected


def test_our_own_container_does_not_count() -> None:
    """It is rendered again by the same rules as it was at first."""
    pod = view_of_pod(containers=[container(**FIXED)], initContainers=[container("evenkeel-proxy")])

    assert is_guaranteed(pod)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (None, False),
        ({}, False),
        ({"limits": {}}, False),
        ({"limits": {"cpu": "1"}}, True),
        ({"requests": {"cpu": "1"}}, True),
    ],
)
def test_pod_level(resources: Any, expected: bool) -> None:
    """Then the sidecar takes part in what the Pod has, and gets nothing of its own."""
    pod = view_of_pod(resources=resources)
    found, _ = sidecar_resources(pod, read_pod_annotations({}, {}).overrides, SidecarSettings())

    assert has_pod_level_resources(pod) is expected
    assert (found is None) is expected


def test_as_a_document() -> None:
    """As a container writes it."""
    assert Resources("1", "2", "3", "4").as_document() == {
        "requests": {"cpu": "1", "memory": "3"},
        "limits": {"cpu": "2", "memory": "4"},
    }
