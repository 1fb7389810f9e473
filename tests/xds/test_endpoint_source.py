"""The resources of type EDS: by namespace, by zone, in protobuf."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.core.v3 import health_check_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from google.protobuf.any_pb2 import Any as Packed

from tests.builders import catalog, port, service
from tests.core.test_endpoints import endpoint, slice_of
from webhook.core.endpoints import Endpoint
from webhook.core.model import ServiceRef
from webhook.xds.endpoint_source import EndpointSource, parse_name, resource_name
from webhook.xds.identity import Identity
from webhook.xds.resources import load_assignment
from webhook.xds.source import EDS, Resource

SHOP = Identity("shop", "front-0")
ORDERS = "orders.shop:50051"


def read(resource: Resource) -> Any:
    """Read a resource as clients do."""
    packed = Packed.FromString(resource.body)
    assert packed.type_url == EDS
    return endpoint_pb2.ClusterLoadAssignment.FromString(packed.value)


def addresses(resource: Resource) -> list[str]:
    """Give the primary addresses in a resource."""
    return [
        each.endpoint.address.socket_address.address
        for group in read(resource).endpoints
        for each in group.lb_endpoints
    ]


def source_of(*services: Any, **slices: Any) -> EndpointSource:
    """Make a source that knows these."""
    source = EndpointSource(catalog(*services))
    for key, document in slices.items():
        source.put_slice(key, document)
    return source


def spread(**zones: tuple[int, int]) -> list[Endpoint]:
    """Make endpoints: of each zone so many healthy and so many draining ones."""
    made = [
        (zone, number >= healthy) for zone, (healthy, draining) in zones.items() for number in range(healthy + draining)
    ]
    return [
        Endpoint((f"10.0.0.{place}",), 50051, zone.strip("_"), draining) for place, (zone, draining) in enumerate(made)
    ]


def groups(endpoints: list[Endpoint], zone: str = "") -> list[tuple[str, int, int, int]]:
    """Give zone, priority, weight and number of every locality."""
    return [
        (group.locality.zone, group.priority, group.load_balancing_weight.value, len(group.lb_endpoints))
        for group in read(load_assignment("x", endpoints, zone)).endpoints
    ]


def test_an_endpoint_in_protobuf() -> None:
    """Address, port, second address, health, locality and weight; gRPC wants both even where nothing is known."""
    two = Endpoint(("10.0.0.7", "2001:db8::7"), 50051, "", draining=False)
    assignment = read(load_assignment(ORDERS, [two, Endpoint(("10.0.0.8",), 50051, "", draining=True)]))
    [group] = assignment.endpoints
    first, second = group.lb_endpoints

    assert assignment.cluster_name == ORDERS
    assert first.endpoint.address.socket_address.address == "10.0.0.7"
    assert first.endpoint.address.socket_address.port_value == 50051
    assert [each.address.socket_address.address for each in first.endpoint.additional_addresses] == ["2001:db8::7"]
    assert [each.address.socket_address.port_value for each in first.endpoint.additional_addresses] == [50051]
    assert [each.health_status for each in (first, second)] == [health_check_pb2.HEALTHY, health_check_pb2.DRAINING]
    assert group.HasField("locality")
    assert group.load_balancing_weight.value == 1


def test_versions_are_by_content() -> None:
    """The same endpoints are the same version; any other thing is another."""
    once, again = (load_assignment(ORDERS, spread(a=(2, 0))) for _ in range(2))

    assert once == again
    assert len({once.version, load_assignment("y", spread(a=(2, 0))).version, load_assignment(ORDERS, ()).version}) == 3


@pytest.mark.parametrize(
    ("endpoints", "zone", "expected"),
    [
        ([], "a", []),
        (spread(a=(2, 1), b=(1, 0)), "", [("a", 0, 2, 3), ("b", 0, 1, 1)]),
        (spread(a=(2, 0), b=(2, 0)), "a", [("a", 0, 2, 2), ("b", 1, 2, 2)]),
        (spread(a=(1, 0), b=(3, 0)), "a", [("a", 0, 1, 1), ("b", 0, 3, 3)]),
        (spread(a=(1, 0), b=(2, 0)), "a", [("a", 0, 1, 1), ("b", 1, 2, 2)]),
        (spread(a=(0, 2), b=(1, 0)), "a", [("a", 0, 1, 2), ("b", 0, 1, 1)]),
        (spread(a=(0, 2)), "a", [("a", 0, 1, 2)]),
        (spread(a=(2, 0)), "b", [("a", 0, 2, 2)]),
        (spread(a=(3, 0), _=(1, 0)), "a", [("", 1, 1, 1), ("a", 0, 3, 3)]),
        (spread(_=(2, 0)), "a", [("", 0, 2, 2)]),
    ],
)
def test_zones(endpoints: list[Endpoint], zone: str, expected: list[tuple[str, int, int, int]]) -> None:
    """The client's own comes first where it has its share of what is healthy; else all are one priority."""
    assert groups(endpoints, zone) == expected


def test_only_services_that_ask_for_it_prefer_the_zone() -> None:
    """The promise of the others is an even spread over all."""
    slices = slice_of(endpoint("10.0.0.1", zone="a"), endpoint("10.0.0.2", zone="b"))
    here, plain = Identity("shop", zone="a"), service()
    near = service(trafficDistribution="PreferSameZone")

    assert {group.priority for group in read(source_of(plain, x=slices).get(here, ORDERS)).endpoints} == {0}
    assert [group.priority for group in read(source_of(near, x=slices).get(here, ORDERS)).endpoints] == [0, 1]
    assert [group.priority for group in read(source_of(near, x=slices).get(SHOP, ORDERS)).endpoints] == [0, 0]


def test_every_tcp_port_of_every_service_has_a_name() -> None:
    """Headless or not; the slice's port of the same name is meant."""
    found = source_of(
        service("orders", port(80, "grpc"), port(9000), clusterIP="10.96.0.7"),
        x=slice_of(endpoint("10.0.0.1"), ports=[{"name": "grpc", "port": 50051}, {"port": 9001}]),
    )

    ports = [
        read(found.get(SHOP, name)).endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value
        for name in ("orders.shop:80", "orders.shop:9000")
    ]
    assert ports == [50051, 9001]


@pytest.mark.parametrize(
    ("namespace", "name", "seen"),
    [
        ("shop", ORDERS, True),
        ("front", ORDERS, False),
        ("front", "stock.shop:50051", True),
        ("other", "stock.shop:50051", False),
        ("other", "news.shop:50051", True),
        ("shop", "orders.shop:50052", False),
        ("shop", "orders.shop", False),
        ("shop", "orders.shop:0050051", False),
        ("shop", "orders.shop:²", False),
        ("shop", "", False),
    ],
)
def test_what_may_not_be_seen_is_what_does_not_exist(namespace: str, name: str, seen: bool) -> None:
    """An empty set under the name asked for: nobody waits, and nobody learns."""
    front, everybody = {"evenkeel.dev/export-to": "front"}, {"evenkeel.dev/export-to": "*"}
    found = source_of(
        service("orders"),
        service("stock", annotations=front),
        service("news", annotations=everybody),
        **{name: slice_of(endpoint("10.0.0.1"), of=name) for name in ("orders", "stock", "news")},
    ).get(Identity(namespace), name)

    assert addresses(found) == (["10.0.0.1"] if seen else [])
    assert read(found).cluster_name == name
    assert seen or found == load_assignment(name, ())


def test_names_are_read_as_they_are_written() -> None:
    """Both ways."""
    assert parse_name(resource_name(ServiceRef("shop", "orders"), 50051)) == (ServiceRef("shop", "orders"), 50051)


def test_a_change_names_what_may_be_another_now() -> None:
    """Every port of the Services concerned; slices may come before their Service, and go after it."""
    source = EndpointSource()
    orders = catalog(service("orders", port(50051, "grpc"), port(80, "web")))

    assert source.put_slice("x", slice_of(endpoint("10.0.0.1"))) == frozenset()
    assert source.put_catalog(orders, [ServiceRef("shop", "orders")]) == {ORDERS, "orders.shop:80"}
    assert addresses(source.get(SHOP, ORDERS)) == ["10.0.0.1"]
    assert source.put_slice("x", slice_of(endpoint("10.0.0.2"))) == {ORDERS, "orders.shop:80"}
    assert addresses(source.get(SHOP, ORDERS)) == ["10.0.0.2"]
    assert source.put_slice("x", slice_of(endpoint("10.0.0.2"))) == frozenset()
    assert source.put_catalog(catalog(), None) == {ORDERS, "orders.shop:80"}
    assert addresses(source.get(SHOP, ORDERS)) == []


def test_what_nobody_may_be_told_is_not_kept() -> None:
    """Names are the client's to choose: only those of Services there are stay in memory."""
    source = source_of(service(), x=slice_of(endpoint("10.0.0.1")))
    for number in range(100):
        source.get(SHOP, f"invented-{number}.shop:1")
    source.get(SHOP, ORDERS)

    assert list(source._made) == [ORDERS]
    assert source.get(SHOP, ORDERS) is source.get(Identity("shop", "another"), ORDERS)
