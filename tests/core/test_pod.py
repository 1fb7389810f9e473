"""What is taken for a Pod; that nothing else is raised is a property (test_properties.py)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import container, view_of_pod
from webhook.core.errors import NotAPod
from webhook.core.pod import is_port, read_pod

GOOD: dict[str, Any] = {"metadata": {}, "spec": {"containers": [{"name": "app"}]}}


def with_spec(**spec: Any) -> Any:
    """Give a Pod with these fields of its spec."""
    return {"spec": {"containers": [{"name": "app"}], **spec}}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "object: found nothing, expected an object"),
        ([], "object: found a list, expected an object"),
        ({}, "spec: found nothing, expected an object"),
        ({"spec": {}}, "spec.containers: found none, expected at least one container"),
        ({"spec": {"containers": []}}, "spec.containers: found none, expected at least one container"),
        ({"spec": {"containers": "x"}}, "spec.containers: found a text, expected a list"),
        ({"spec": {"containers": [None]}}, "spec.containers[0]: found nothing, expected an object"),
        ({"spec": {"containers": [{}]}}, "spec.containers[0].name: found nothing, expected a text"),
        ({**GOOD, "metadata": []}, "metadata: found a list, expected an object"),
        ({**GOOD, "metadata": {"labels": {"a": True}}}, "metadata.labels['a']: found true or false, expected a text"),
        ({**GOOD, "metadata": {"annotations": {"a": None}}},
         "metadata.annotations['a']: found nothing, expected a text"),
        (with_spec(hostNetwork="yes"), "spec.hostNetwork: found a text, expected true or false"),
        (with_spec(terminationGracePeriodSeconds="9"),
         "spec.terminationGracePeriodSeconds: found a text, expected a number"),
        (with_spec(securityContext=[]), "spec.securityContext: found a list, expected an object"),
        (with_spec(nodeSelector=""), "spec.nodeSelector: found a text, expected an object"),
        (with_spec(os="windows"), "spec.os: found a text, expected an object"),
        (with_spec(resources=1.5), "spec.resources: found float '1.5', expected an object"),
        (with_spec(volumes={}), "spec.volumes: found an object, expected a list"),
        (with_spec(volumes=[{"name": 1}]), "spec.volumes[0].name: found a number, expected a text"),
        (with_spec(initContainers=[{"name": "a", "ports": [{}]}]),
         "spec.initContainers[0].ports[0].containerPort: found None"),
    ],
)  # fmt: skip
def test_refused(document: Any, message: str) -> None:
    """The field is named, with what was found and what is expected."""
    with pytest.raises(NotAPod) as refused:
        read_pod(document, "shop")

    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    "fields",
    [
        {"ports": {}}, {"ports": [1]}, {"ports": [{"containerPort": "80"}]}, {"ports": [{"containerPort": True}]},
        {"ports": [{"containerPort": 0}]}, {"ports": [{"containerPort": 65536}]}, {"resources": []},
        {"resources": {"limits": "1"}}, {"resources": {"requests": 1}}, {"volumeMounts": "x"}, {"volumeMounts": [None]},
    ],
    ids=str,
)  # fmt: skip
def test_refused_containers(fields: Any) -> None:
    """As far as the rules read a container."""
    with pytest.raises(NotAPod, match=r"^spec\.containers\[0\]\."):
        read_pod({"spec": {"containers": [{"name": "app", **fields}]}}, "shop")


def test_null_is_as_absent() -> None:
    """As in Go, where a client may send either."""
    nulls = dict.fromkeys(
        ("initContainers", "volumes", "hostNetwork", "securityContext", "nodeSelector", "os", "resources")
    )
    inside = dict.fromkeys(("ports", "resources", "volumeMounts", "env"))
    document = {"metadata": None, "spec": {"containers": [{"name": "a", **inside}], **nulls}}

    pod = read_pod(document, "shop")

    assert (pod.labels, pod.annotations, pod.init_containers, pod.volumes) == ({}, {}, [], [])
    assert pod.document is document


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"name": "a"}, "a"),
        ({"generateName": "a-"}, "a-*"),
        ({"name": "", "generateName": "b-"}, "b-*"),
        ({}, "*"),
        (None, "*"),
    ],
)
def test_display_name(metadata: Any, expected: str) -> None:
    """At admission most Pods have only a prefix."""
    actual = read_pod({**GOOD, "metadata": metadata}, "shop").display_name

    assert expected == actual


def test_tcp_ports() -> None:
    """Of all containers in the order of their start, but ours; protocol TCP is the default."""
    ports = [{"containerPort": 1}, {"containerPort": 2, "protocol": "UDP"}, {"containerPort": 3, "protocol": "TCP"}]
    pod = view_of_pod(
        containers=[container("app", ports=ports)],
        initContainers=[
            container("evenkeel-proxy", ports=[{"containerPort": 4}]),
            container("old", ports=[{"containerPort": 5}]),
        ],
    )

    assert list(pod.tcp_ports()) == [("old", 5), ("app", 1), ("app", 3)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, True), (65535, True), (0, False), (65536, False), (True, False), ("1", False), (1.0, False)],
)
def test_ports(value: Any, expected: bool) -> None:
    """Whole numbers in the range of TCP."""
    assert is_port(value) is expected
