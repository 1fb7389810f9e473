"""What number a named target port means."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import container, deployment, endpoint_slice, pod
from webhook.core.model import ServiceRef
from webhook.core.named_ports import NamedPorts

REF = ServiceRef("shop", "orders")
API = {"name": "api", "containerPort": 50051}


def numbers(*objects: Any) -> set[int]:
    """Resolve port `grpc` with the target port `api` of Service `orders`."""
    return set(NamedPorts(objects, default_namespace="shop").resolve(REF, {"app": "orders"}, "grpc", "api"))


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ([{"name": "grpc", "port": 1}], {1}),
        ([{"name": "grpc", "port": 1, "protocol": "TCP"}, {"name": "grpc", "port": 2}], {1, 2}),
        ([{"name": "api", "port": 1}], set()),
        ([{"name": "grpc", "port": 1, "protocol": "UDP"}], set()),
        ([{"name": "grpc", "port": 0}, {"name": "grpc", "port": 65536}, {"name": "grpc", "port": True}], set()),
        ([{"name": "grpc", "port": "1"}, {"name": "grpc"}, None, 7], set()),
    ],
)
def test_slices(ports: list[Any], expected: set[int]) -> None:
    """By the Service's port name; only what can be a TCP port."""
    actual = numbers(endpoint_slice("orders", *ports))

    assert expected == actual


@pytest.mark.parametrize(
    "change",
    [{"metadata": None}, {"metadata": {"labels": None}}, {"metadata": {"labels": {}}}, {"ports": None}, {"ports": "x"}],
    ids=str,
)
def test_a_slice_that_says_nothing_is_passed_over(change: dict[str, Any]) -> None:
    """It is no reason to know nothing of the others."""
    good = endpoint_slice("orders", {"name": "grpc", "port": 1})

    assert numbers({**good, **change}, good) == {1}


def test_slices_go_before_workloads() -> None:
    """They say what is, a template what will be."""
    assert numbers(deployment("orders", API), endpoint_slice("orders", {"name": "grpc", "port": 1})) == {1}


def test_workloads_that_disagree_give_every_number() -> None:
    """It is then for the reader to say that it is unclear."""
    assert numbers(deployment("orders", API), deployment("orders", {**API, "containerPort": 2})) == {50051, 2}


def test_a_bare_pod_and_an_init_container_count() -> None:
    """A native sidecar may be the one that serves."""
    one = pod(labels={"app": "orders"}, initContainers=[container("proxy", ports=[API])])

    assert numbers(one) == {50051}


def test_without_a_selector_nobody_is_known() -> None:
    """Otherwise every pod of the namespace would be meant."""
    assert NamedPorts([deployment("orders", API)]).resolve(REF, {}, "grpc", "api") == frozenset()


@pytest.mark.parametrize(
    "other", [None, 7, "x", [], {}, {"kind": "Deployment", "apiVersion": "apps/v1"}, {"kind": ["a"]}]
)
def test_anything_else_is_passed_over(other: Any) -> None:
    """Also a workload that is not shaped like one."""
    assert numbers(other, deployment("orders", API)) == {50051}


def test_slices_come_change_and_go() -> None:
    """Each is known by a key; whoever may mean another number now is named."""
    named = NamedPorts()
    one, other = endpoint_slice("orders", {"name": "grpc", "port": 1}), endpoint_slice("users", {"port": 2})

    assert named.put_slice("x", one) == {REF}
    assert named.put_slice("x", one) == frozenset()
    assert named.put_slice("y", endpoint_slice("orders", {"name": "grpc", "port": 3})) == {REF}
    assert named.resolve(REF, {}, "grpc", "api") == {1, 3}
    assert named.put_slice("x", other) == {REF, ServiceRef("shop", "users")}
    assert named.resolve(REF, {}, "grpc", "api") == {3}
    assert named.put_slice("y", None) == {REF}
    assert named.put_slice("y", None) == frozenset()
    assert named.resolve(REF, {}, "grpc", "api") == frozenset()
