"""Whether a sidecar takes calls for the app, and where it forwards them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import catalog, container, port, service, view_of_pod
from webhook.core.ingress import ingress
from webhook.core.model import Overrides, Ports, SidecarSettings

TO_PROXY = service("front", port(80, "http", targetPort=15001), clusterIP="10.0.0.1")


@pytest.mark.parametrize(
    ("declared", "app_port", "services", "expected"),
    [
        ([8080], None, [], None),
        ([8080], None, [TO_PROXY], 8080),
        ([8080, 8080], None, [TO_PROXY], 8080),
        ([], 9090, [], 9090),
        ([8080], 9090, [TO_PROXY], 9090),
        ([8080], None, [service("front", port(80, targetPort=8080))], None),
        ([8080], None, [service("other", port(15001))], None),
        ([8080], None, [service("front", port(15001), namespace="store")], None),
        ([8080], None, [service("front", port(15001), selector=None)], None),
        ([8080], None, [service("front", port(15001, protocol="UDP"))], None),
    ],
)
def test_where_to(declared: list[int], app_port: int | None, services: list[Any], expected: int | None) -> None:
    """The annotation, else the one declared port where a Service that selects the Pod targets the ingress."""
    pod = view_of_pod(containers=[container(ports=[{"containerPort": number} for number in declared])])

    actual = ingress(pod, Overrides(app_port=app_port), catalog(*services), SidecarSettings())

    assert (expected, ()) == actual


@pytest.mark.parametrize(("declared", "found"), [([], "none"), ([9090, 8080], "8080, 9090")])
def test_unclear(declared: list[int], found: str) -> None:
    """No guess is made: a warning says what to set."""
    pod = view_of_pod(containers=[container(ports=[{"containerPort": number} for number in declared])])

    target, warnings = ingress(pod, Overrides(), catalog(TO_PROXY), SidecarSettings())

    assert target is None
    assert warnings == (
        (
            "Service front.shop targets port 15001, but which port is the app's is unclear: "
            f"the containers declare {found}; set annotation evenkeel.dev/app-port"
        ),
    )


def test_another_ingress_port() -> None:
    """The operator's port is the one that Services must target."""
    pod = view_of_pod(containers=[container(ports=[{"containerPort": 8080}])])
    settings = SidecarSettings(ports=Ports(ingress=16000))

    assert ingress(pod, Overrides(), catalog(TO_PROXY), settings) == (None, ())
    assert ingress(pod, Overrides(), catalog(service("front", port(16000))), settings) == (8080, ())
