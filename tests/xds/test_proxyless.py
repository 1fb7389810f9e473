"""What gRPC clients without a sidecar are told."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import any_pb2, json_format

from tests import builders
from tests.builders import port, service
from webhook.core import names
from webhook.core.catalog import Catalog
from webhook.core.model import ServiceRef
from webhook.xds.identity import Identity
from webhook.xds.proxyless import Proxyless
from webhook.xds.source import CDS, LDS, RDS
from webhook.xds.targets import parse

SHOP = Identity("shop")
OTHER = Identity("other")
DOMAIN = "cluster.local"


def told(sources: Proxyless, type_url: str, name: str, client: Identity = SHOP) -> Any:
    """Give a resource as a document."""
    resource = sources.sources[type_url].get(client, name)
    assert resource is not None
    document = json_format.MessageToDict(any_pb2.Any.FromString(resource.body))
    assert document.pop("@type") == type_url
    return document


def action(name: str, *objects: Any, client: Identity = SHOP) -> Any:
    """Give what the only route of a name does."""
    document = told(Proxyless(DOMAIN, builders.catalog(*objects)), RDS, name, client)
    [host] = document["virtualHosts"]
    [route] = host["routes"]
    assert (document["name"], host["domains"], route["match"]) == (name, ["*"], {"prefix": ""})
    return route["route"]


def leads_to(name: str, *objects: Any, client: Identity = SHOP) -> str:
    """Give the cluster that a name stands for."""
    return str(action(name, *objects, client=client)["cluster"])


@pytest.mark.parametrize("suffix", ["", ":50051"], ids=["without a port", "with a port"])
@pytest.mark.parametrize(
    "host",
    [
        "be1-srv",
        "be1-srv.shop",
        "be1-srv.shop.svc",
        "be1-srv.shop.svc.cluster.local",
        "be1-srv.shop.svc.cluster.local.",
    ],
)
def test_every_form_of_a_name_leads_to_the_services_endpoints(host: str, suffix: str) -> None:
    """In the client's own namespace."""
    assert leads_to(host + suffix, service("be1-srv")) == "be1-srv.shop:50051"


@pytest.mark.parametrize(
    "name",
    ["", ":50051", "be1-srv:", "be1-srv:0", "be1-srv:65536", "be1-srv:050", "be1-srv:grpc", "Be1-srv", "be1_srv",
     ".shop", "be1-srv.shop.pod", "be1-srv.shop.svc.another.domain", "be1-srv.shop.cluster.local", "a.b.c.d", "-a",
     "be1-srv..svc", "be1-srv.shop.svcx", "be1-srv.shop.svc.", "10.0.0.7:50051", "[::1]:50051", "be1-srv\n",
     "grpc/server?x=[::]:80"],
)  # fmt: skip
def test_what_no_service_can_be_called_fails_at_once(name: str) -> None:
    """By a route without a virtual host; gRPC says so."""
    assert told(Proxyless(DOMAIN), RDS, name) == ({"name": name} if name else {})


def test_an_address_is_no_name_of_a_service() -> None:
    """`10.0.0.7` would be four parts."""
    assert parse("10.0.0.7", "shop", DOMAIN) is None


def test_a_bare_name_is_one_of_the_clients_namespace() -> None:
    """Two namespaces mean two Services by it."""
    objects = (service("orders"), service("orders", namespace="other"))

    assert [leads_to("orders:50051", *objects, client=each) for each in (SHOP, OTHER)] == [
        "orders.shop:50051",
        "orders.other:50051",
    ]


@pytest.mark.parametrize(
    ("ports", "number"),
    [
        ((port(80, "http"), port(50052, "grpc-b"), port(50051, "grpc-a")), 50052),
        ((port(12345),), 12345),
        ((port(8080, "web"),), 8080),
    ],
    ids=["the first declared", "the one without a name", "the only one"],
)
@pytest.mark.parametrize("kind", [{}, {"clusterIP": "10.96.0.7"}], ids=["headless", "with an address"])
def test_without_a_port_a_name_means(ports: Any, number: int, kind: Any) -> None:
    """As in authorities."""
    assert leads_to("orders", service("orders", *ports, **kind)) == f"orders.shop:{number}"


def test_where_no_port_is_grpc_and_there_are_several_a_name_without_one_means_nothing() -> None:
    """Nobody guesses."""
    assert leads_to("orders", service("orders", port(80, "http"), port(81, "admin"))) == "orders.shop"


def test_the_port_that_the_pods_listen_on_will_do_too() -> None:
    """But the Service's own ports come first."""
    ports = (port(80, "grpc", targetPort=50051), port(81, "grpc-b", targetPort=80))

    assert [leads_to(f"orders:{number}", service("orders", *ports)) for number in (80, 50051, 81)] == [
        "orders.shop:80",
        "orders.shop:80",
        "orders.shop:81",
    ]


@pytest.mark.parametrize(
    ("objects", "name", "cluster"),
    [
        ([], "orders:50051", "orders.shop:50051"),
        ([], "orders", "orders.shop"),
        ([service("orders", namespace="other")], "orders.other:50051", "orders.other:50051"),
        ([service("orders", namespace="other")], "orders.other", "orders.other"),
        ([service("orders")], "orders:9", "orders.shop:9"),
    ],
    ids=["none", "none, no port", "not to be seen", "not to be seen, no port", "no such port"],
)
def test_what_does_not_exist_and_what_may_not_be_seen_are_asked_for_all_the_same(
    objects: Any, name: str, cluster: str
) -> None:
    """Their endpoints are none, so that calls fail at once; with a port nothing has to change when they come."""
    assert action(name, *objects) == {"cluster": cluster}  # and nothing is tried again


def test_an_exported_service_leads_to_its_endpoints() -> None:
    """From where it is exported to, and from nowhere else."""
    orders = service("orders", namespace="other", annotations={names.EXPORT_TO: "shop"})

    assert [leads_to("orders.other", orders, client=each) for each in (SHOP, Identity("third"))] == [
        "orders.other:50051",
        "orders.other",
    ]


def test_a_listener_is_the_same_for_all_and_says_where_its_route_is() -> None:
    """Under its own name, over the same stream."""
    document = told(Proxyless(DOMAIN), LDS, "be1-srv:50051")

    manager = document["apiListener"]["apiListener"]
    assert document["name"] == manager["rds"]["routeConfigName"] == "be1-srv:50051"
    assert manager["rds"]["configSource"] == {"ads": {}, "resourceApiVersion": "V3"}
    assert [each["typedConfig"]["@type"].rpartition(".")[2] for each in manager["httpFilters"]] == ["Router"]


@pytest.mark.parametrize(
    ("policy", "picks"), [("round_robin", ["RoundRobin"]), ("least_request", ["LeastRequest", "RoundRobin"])]
)
def test_a_cluster_follows_the_policy_with_one_that_every_library_knows(policy: str, picks: list[str]) -> None:
    """Over all endpoints at once, without a limit of calls, by EDS under its own name."""
    orders = service("orders", annotations={names.LB_POLICY: policy})

    document = told(Proxyless(DOMAIN, builders.catalog(orders)), CDS, "orders.shop:50051")

    policies = [each["typedExtensionConfig"] for each in document["loadBalancingPolicy"]["policies"]]
    assert [each["typedConfig"]["@type"].rpartition(".")[2] for each in policies] == picks
    assert document["edsClusterConfig"]["serviceName"] == document["name"] == "orders.shop:50051"
    assert document["circuitBreakers"] == {"thresholds": [{"maxRequests": 2**32 - 1}]}
    assert "lbPolicy" not in document  # ROUND_ROBIN, which is the default


def test_nobody_learns_the_policy_of_a_service_that_it_may_not_see() -> None:
    """The cluster is as if there were none."""
    orders = service("orders", annotations={names.LB_POLICY: "least_request"})
    sources = Proxyless(DOMAIN, builders.catalog(orders))

    assert told(sources, CDS, "orders.shop:50051", OTHER) == told(Proxyless(DOMAIN), CDS, "orders.shop:50051")


@pytest.mark.parametrize(
    ("word", "retried"),
    [
        (None, "cancelled,unavailable"),
        ("default", "cancelled,unavailable"),
        ("idempotent", "cancelled,unavailable"),
        ("safe", None),
        ("off", None),
    ],
)
def test_what_is_sent_again(word: str | None, retried: str | None) -> None:
    """Of the words that gRPC knows; what was never begun it sends again by itself."""
    annotations = {names.RETRY: word} if word else {}

    assert action("orders", service("orders", annotations=annotations)).get("retryPolicy", {}).get("retryOn") == retried


def test_the_longest_call_is_bounded_two_seconds_later() -> None:
    """Never earlier, though gRPC's C core is early by up to so much."""
    orders = service("orders", annotations={names.MAX_TIMEOUT: "1500ms"})

    assert action("orders", orders)["maxStreamDuration"] == {"maxStreamDuration": "3.500s"}
    assert "maxStreamDuration" not in action("orders", service("orders"))


def test_a_change_names_whatever_may_be_another_now() -> None:
    """A Service that comes, changes its ports and goes; each name that leads elsewhere is among them."""
    asked = ["orders", "orders:80", "orders.shop:50051", "orders.shop.svc", "orders.shop.svc.cluster.local:81", "users"]
    states = [
        builders.catalog(),
        builders.catalog(service("orders", port(80, "grpc", targetPort=50051))),
        builders.catalog(service("orders", port(81, "grpc", targetPort=80)), service("users")),
        builders.catalog(service("users")),
    ]
    sources = Proxyless(DOMAIN)

    for state in states:
        before = {name: versions(sources, name) for name in asked}
        changed = sources.put_catalog(state)
        after = {name: versions(sources, name) for name in asked}

        assert {name for name in asked if before[name] != after[name]} <= changed[RDS]


def test_a_changed_policy_names_the_clusters_of_the_service() -> None:
    """And of no other."""
    sources = Proxyless(DOMAIN, builders.catalog(service("orders"), service("users")))
    after = builders.catalog(service("orders", annotations={names.LB_POLICY: "least_request"}), service("users"))

    assert sources.put_catalog(after, {ServiceRef("shop", "orders")})[CDS] == {"orders.shop:50051"}


def test_the_same_is_made_once() -> None:
    """Whoever asks, as long as it means the same to them."""
    sources = Proxyless(DOMAIN, builders.catalog(service("orders", annotations={names.EXPORT_TO: "*"})))
    route = sources.sources[RDS]

    assert route.get(SHOP, "orders.shop") is route.get(OTHER, "orders.shop")
    assert sources.put_catalog(Catalog()) != {}


def versions(sources: Proxyless, name: str) -> str:
    """Give the version of a name's route."""
    resource = sources.sources[RDS].get(SHOP, name)
    assert resource is not None
    return resource.version
