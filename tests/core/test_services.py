"""From a Service's manifest to its upstreams."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders
from tests.builders import port, service
from webhook.core import names
from webhook.core.model import Service
from webhook.core.named_ports import NamedPorts
from webhook.core.services import read_service, says_grpc


def read(document: Any, *others: Any) -> tuple[Service | None, list[str]]:
    """Read a Service among others; give it and the codes of what is wrong."""
    found, problems = read_service(document, NamedPorts(others))
    return found, [problem.code for problem in problems]


def ports(document: Any, *others: Any) -> list[tuple[int, int, bool]]:
    """Give (Service's port, dialled port, declared) of each upstream."""
    found, _ = read(document, *others)
    assert found is not None
    return [(upstream.service_port, upstream.port, upstream.declared) for upstream in found.upstreams]


@pytest.mark.parametrize("name", ["grpc", "grpc-a", "h2c", "h2c-a", "h2cx", "http2", "http2-a"])
def test_names_that_promise_grpc(name: str) -> None:
    """The contract's forms."""
    assert says_grpc(name)


@pytest.mark.parametrize("name", ["grpc-web", "grpc-web-a", "grpcx", "xgrpc", "http", "h2", ""])
def test_names_that_do_not(name: str) -> None:
    """They only look like the forms of the contract."""
    assert not says_grpc(name)


@pytest.mark.parametrize(
    ("one", "words", "expected"),
    [
        (port(80, "grpc"), {}, [(80, 80, True)]),
        (port(80, "x", appProtocol="grpc"), {}, [(80, 80, True)]),
        (port(80, "x", appProtocol="kubernetes.io/h2c"), {}, [(80, 80, True)]),
        (port(80, appProtocol="kubernetes.io/ws"), {}, []),
        (port(80), {}, [(80, 80, False)]),
        (port(80, ""), {}, [(80, 80, False)]),
        (port(80, "http"), {}, []),
        (port(80, "http"), {names.UPSTREAM: "enabled"}, [(80, 80, True)]),
        (port(80, "http"), {names.UPSTREAM: "http"}, [(80, 80, True)]),
        (port(80, "http"), {names.UPSTREAM: "80"}, [(80, 80, True)]),
        (port(80, "grpc"), {names.UPSTREAM: "disabled"}, []),
        (port(80, "grpc"), {names.UPSTREAM: "nonsense!"}, [(80, 80, True)]),
        (port(80, "grpc", protocol="UDP"), {}, []),
        (port(80, "grpc", protocol="SCTP"), {names.UPSTREAM: "enabled"}, []),
        (port(80, "grpc", targetPort=50051), {}, [(80, 50051, True)]),
        (port(80, "grpc", targetPort=None), {}, [(80, 80, True)]),
        (port(80, "grpc", targetPort=0), {}, [(80, 80, True)]),
        (port(80, "grpc", targetPort=70000), {}, []),
        (port(80, "grpc", targetPort="nobody"), {}, []),
    ],
)  # fmt: skip
def test_one_port(one: Any, words: dict[str, str], expected: list[tuple[int, int, bool]]) -> None:
    """Declared, undeclared, annotated or none."""
    actual = ports(service("orders", one, annotations=words))

    assert expected == actual


def test_the_order_is_declared_by_itself_then_by_an_annotation() -> None:
    """An authority without a port means the first."""
    three = (port(1), port(2, "api"), port(3, "grpc"))

    assert ports(service("orders", *three, annotations={names.UPSTREAM: "enabled"})) == [
        (3, 3, True),
        (1, 1, True),
        (2, 2, True),
    ]
    assert ports(service("orders", port(1), port(3, "grpc"))) == [(3, 3, True), (1, 1, False)]


@pytest.mark.parametrize(
    ("document", "codes"),
    [
        (service(), []),
        (service(clusterIP="10.0.0.1"), []),
        (service(clusterIP="10.0.0.1", annotations={names.UPSTREAM: "disabled"}), []),
        (service(clusterIP="10.0.0.1", annotations={names.UPSTREAM: "enabled"}), []),
        (service(clusterIP="10.0.0.1", annotations={names.GRPC_SERVICES: "a.A"}), []),
        (service("o", port(80, "http"), clusterIP="10.0.0.1", annotations={names.UPSTREAM: "x"}), ["no-such-port"]),
        (service("o", port(80), clusterIP="10.0.0.1", annotations={names.GRPC_SERVICES: "a.A"}), ["no-grpc-port"]),
        (service("orders", port(80, "grpc", protocol="UDP")), ["not-tcp"]),
        (service("orders", port(80, "dns", protocol="UDP")), []),
        (service("orders", port(80, "grpc", targetPort="x")), ["target-port-unknown"]),
        (service("orders", port(80, "http", targetPort="x")), []),
        (service("orders", port(0)), ["malformed-service"]),
        (service("orders", {"port": True}), ["malformed-service"]),
        (service("orders", {"port": 80, "name": ["grpc"]}), ["malformed-service"]),
        (service("orders", port(80), port(80)), ["malformed-service"]),
        (service(ports={}), []),
        (service(ports={"a": 1}), ["malformed-service"]),
        (service(selector=[1]), ["malformed-service"]),
        (service(selector={"app": 1}), ["malformed-service"]),
        (service(annotations={names.UPSTREAM: "x,y"}), ["no-such-port", "no-such-port"]),
    ],
)
def test_problems(document: Any, codes: list[str]) -> None:
    """Each is told by a code, and the rest of the Service counts."""
    found, actual = read(document)

    assert codes == actual
    assert found is not None


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"metadata": None},
        {"metadata": {"name": None}},
        {"metadata": {"name": "A"}},
        {"metadata": {"name": "a" * 64}},
        {"metadata": {"name": "a", "namespace": "x.y"}},
        {"metadata": {"name": "a", "namespace": {"b": 1}}},
        {"metadata": {"name": "a"}, "spec": None},
    ],
)
def test_what_can_be_no_service_is_left_out(document: Any) -> None:
    """With a problem, and nothing is raised."""
    assert read(document) == (None, ["malformed-service"])


def test_an_external_name_is_no_service_for_us() -> None:
    """It stands for a name outside, whose pods are not ours to know."""
    assert read(service(type="ExternalName", externalName="example.com")) == (None, [])


def test_what_the_rest_is_read_to() -> None:
    """Selector, target ports of all TCP ports, paths and export, its own namespace left out."""
    found, _ = read(
        service(
            "orders",
            port(80, "http", targetPort=15001),
            port(50051, "grpc"),
            annotations={names.GRPC_SERVICES: "b.B,a.A", names.EXPORT_TO: "shop,store"},
            selector={"b": "2", "a": "1"},
        )
    )

    assert found is not None
    assert found.selector == (("a", "1"), ("b", "2"))
    assert found.target_ports == {15001, 50051}
    assert found.grpc_services == ("a.A", "b.B")
    assert found.export_to == {"store"}
    assert found.declared


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [({}, {"a": "1"}, False), ({"a": "1"}, {"a": "1", "b": "2"}, True), ({"a": "1", "b": "2"}, {"a": "1"}, False)],
)
def test_selects(selector: dict[str, str], labels: dict[str, str], expected: bool) -> None:
    """A Service without a selector selects nobody."""
    found, _ = read(service(selector=selector))

    assert found is not None
    assert expected == found.selects(labels)


def test_a_named_port_of_the_right_pods_only() -> None:
    """The workload must be in the Service's namespace and be selected by it."""
    wanted = service("orders", port(80, "grpc", targetPort="api"))
    named = {"name": "api", "containerPort": 50051}

    assert ports(wanted, builders.deployment("orders", named)) == [(80, 50051, True)]
    assert ports(wanted, builders.deployment("other", named)) == []
    assert ports(wanted, builders.deployment("orders", named, namespace="store")) == []
    assert ports(wanted, builders.deployment("orders", {**named, "protocol": "UDP"})) == []
