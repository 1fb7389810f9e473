"""Which ports clients dial by a Service's name, and what speaks against capturing it at all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import catalog, port, service
from webhook.core.dialled import dialled_ports, forbidden_ports, why_unfit
from webhook.core.model import Service, SidecarSettings

SETTINGS = SidecarSettings()
ALLOWED = SidecarSettings(privileged_ports=True)


def known(*ports: Any, **spec: Any) -> Service:
    """Give a Service as the catalog has it."""
    [found] = catalog(service("orders", *ports, **spec)).services.values()
    return found


@pytest.mark.parametrize(
    ("made", "dialled"),
    [
        (known(port(50051, "grpc")), {50051: 50051}),
        (known(port(8000, "grpc", targetPort=50051)), {8000: 8000, 50051: 8000}),
        (
            known(port(8000, "grpc", targetPort=8080), port(8001, "b", targetPort=8080)),
            {8000: 8000, 8001: 8001, 8080: 8000},
        ),
        (known(port(80, "grpc", targetPort=50051)), {50051: 80}),
        (known(port(80, "grpc")), {80: 80}),
        (known(port(8000, "grpc", targetPort=50051), clusterIP="10.96.0.7"), {8000: 8000}),
        (known(port(80, "grpc", targetPort=50051), clusterIP="10.96.0.7"), {80: 80}),
    ],
    ids=["plain", "translated", "two of one target", "only translates", "low", "address", "low address"],
)  # fmt: skip
def test_the_ports_that_clients_dial(made: Service, dialled: dict[int, int]) -> None:
    """Behind an address only the Service's own; a headless name leads to the pods themselves."""
    assert dialled_ports(made) == dialled


def test_a_port_below_1024_takes_the_operator_s_word() -> None:
    """The lowest is named."""
    made = known(port(443, "grpc"), port(80, "http"))

    assert (
        why_unfit(made, SETTINGS) == "the sidecar may not bind its port 80 without the setting sidecar.privileged_ports"
    )
    assert why_unfit(made, ALLOWED) == ""
    assert 1023 in forbidden_ports(SETTINGS)
    assert 1024 not in forbidden_ports(SETTINGS)
    assert 80 not in forbidden_ports(ALLOWED)


@pytest.mark.parametrize("settings", [SETTINGS, ALLOWED])
def test_the_setting_changes_nothing_else(settings: SidecarSettings) -> None:
    """What is captured is, and what is not is not."""
    assert why_unfit(known(port(50051, "grpc")), settings) == ""
    assert "declared gRPC" in why_unfit(known(port(50051)), settings)
    assert "not TCP" in why_unfit(known(port(50051, "grpc"), port(53, "dns", protocol="UDP")), settings)


def test_pushed_endpoints_need_the_same() -> None:
    """A Service with an address of its own has upstreams only there."""
    made = known(port(80, "grpc"), clusterIP="10.96.0.7", sessionAffinity="ClientIP")

    assert "sessionAffinity" in why_unfit(made, ALLOWED)
