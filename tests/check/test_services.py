"""Services that mean gRPC and are not balanced, by every sign, and those that are meant as they are."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders
from tests.builders import port, service
from tests.check.api import Json
from webhook.check.judge_namespaces import judge_upstreams, some
from webhook.check.judge_services import judge_declared, judge_headless, judge_problems
from webhook.check.model import Finding
from webhook.core import names
from webhook.core.model import DiscoveryMode, SidecarSettings

LABELLED = ("shop",)
SETTINGS = SidecarSettings()
PUSHED = builders.namespace("shop", annotations={names.DISCOVERY: "xds"})


def with_ip(*ports: Json, name: str = "orders", **fields: Any) -> Json:
    """Make a Service with a cluster IP."""
    return service(name, *ports, clusterIP="10.96.0.7", **fields)


def headless(*services: Json) -> Finding:
    """Judge whether Services are headless that should be."""
    return judge_headless(services, LABELLED, builders.catalog(*services), SETTINGS)


@pytest.mark.parametrize(
    ("ports", "sign"),
    [
        ((port(80, "grpc"),), "port 80 is named grpc"),
        ((port(80, "http"), port(81, "h2c-admin")), "port 81 is named h2c-admin"),
        ((port(80, "api", appProtocol="kubernetes.io/h2c"),), "port 80 has appProtocol kubernetes.io/h2c"),
        ((port(80, "api", targetPort="grpc"),), "port 80 has targetPort grpc"),
        ((port(80, "api", targetPort=50051),), "port 80 has gRPC's usual number"),
        ((port(50051),), "port 50051 has gRPC's usual number"),
    ],
)
def test_signs_of_grpc_behind_a_cluster_ip(ports: tuple[Json, ...], sign: str) -> None:
    """The first is named, and what the cluster IP means."""
    found = headless(with_ip(*ports)).found

    why = "and it is not headless (clusterIP 10.96.0.7): a connection to it stays with one pod"
    assert found == (f"Service shop/orders: {sign}, {why}",)


@pytest.mark.parametrize(
    "services",
    [
        (service(),),
        (with_ip(port(80, "http")),),
        (with_ip(port(80)),),
        (with_ip(port(80, "grpc-web")),),
        (with_ip(port(50051, "dns", protocol="UDP")),),
        (with_ip(port(50051, "web", appProtocol="https")),),
        (with_ip(namespace="elsewhere"),),
        (with_ip(type="ExternalName"),),
        (with_ip(annotations={names.UPSTREAM: names.DISABLED}),),
        (with_ip(), service("orders-all", selector={"app": "orders"})),
    ],
    ids=[
        "headless", "http", "unnamed", "grpc-web", "udp", "says-https", "not-labelled", "external", "meant", "pair",
    ],
)  # fmt: skip
def test_nothing_is_said_of_others(services: tuple[Json, ...]) -> None:
    """Who wants both beside each other, or says that it is meant so, is left in peace."""
    assert headless(*services).found == ()


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (service("orders", port(80)), "port 80 does not say what it carries, and is taken for gRPC"),
        (service("orders", port(80, "api", targetPort="grpc")), "port 80 has targetPort grpc, yet none of its ports"),
        (service("db", port(5432, "postgres")), None),
        (service("orders"), None),
        (service("orders", port(80), annotations={names.UPSTREAM: names.ENABLED}), None),
        (service("orders", port(50051, "api"), annotations={names.UPSTREAM: names.DISABLED}), None),
    ],
    ids=["unnamed", "hint", "database", "declared", "by-annotation", "meant"],
)
def test_a_headless_service_says_that_it_is_grpc(made: Json, says: str | None) -> None:
    """Or a guess is told as one; a database is nobody's business."""
    found = judge_declared([made], LABELLED, builders.catalog(made)).found

    assert [says in text for text in found] == ([True] if says else [])


@pytest.mark.parametrize(
    ("made", "found", "remedies"),
    [
        (with_ip(), 0, []),
        (with_ip(port(80, "api"), annotations={names.UPSTREAM: "api"}), 0, []),
        (with_ip(port(80, "api", targetPort="grpc")), 1, ["delete and create", "kubectl patch -n shop service orders"]),
        (with_ip(internalTrafficPolicy="Local"), 1, ["delete and create"]),
    ],
    ids=["declared", "annotated", "undeclared", "node-local"],
)
def test_where_endpoints_are_pushed_it_is_enough_to_say_grpc(made: Json, found: int, remedies: list[str]) -> None:
    """By the Namespace's word or the operator's; elsewhere that is offered as a remedy."""
    by_namespace = judge_headless([made], LABELLED, builders.catalog(made, PUSHED), SETTINGS)
    by_setting = judge_headless([made], LABELLED, builders.catalog(made), SidecarSettings(discovery=DiscoveryMode.XDS))
    by_dns = judge_headless([made], LABELLED, builders.catalog(made), SETTINGS)

    assert by_namespace == by_setting
    assert len(by_namespace.found) == found
    assert [text.startswith(start) for text, start in zip(by_namespace.remedy, remedies, strict=True)] == [
        True for _ in remedies
    ]
    assert "or have endpoints pushed: kubectl annotate namespace shop evenkeel.dev/discovery=xds" in by_dns.remedy


def test_what_a_service_says_wrong_is_told_where_it_is_meant_for_us() -> None:
    """In labelled namespaces, and where annotations of ours stand."""
    ours = service("a", annotations={names.RETRY: "twice"})
    exported = service("b", namespace="other", annotations={names.EXPORT_TO: "Shop!"})
    strange = service("c", port(80, "grpc", targetPort="nowhere"), namespace="other")
    every = (ours, exported, strange)

    found = judge_problems(every, LABELLED, builders.catalog(*every))

    assert [text.partition(": ")[0] for text in found.found] == ["Service shop/a", "Service other/b"]
    assert found.remedy == ("kubectl edit -n shop service a", "kubectl edit -n other service b")


def test_a_namespace_counts_what_others_export_to_it() -> None:
    """It is balanced as well."""
    exported = service("b", namespace="other", annotations={names.EXPORT_TO: "shop"})

    pushed = builders.catalog(with_ip(), PUSHED)
    assert judge_upstreams(LABELLED, pushed, SETTINGS).found == ("shop: orders.shop:50051",)
    assert judge_upstreams(LABELLED, builders.catalog(exported), SETTINGS).found == ("shop: b.other:50051",)


def test_long_lists_are_cut() -> None:
    """Ten tell enough."""
    assert some([str(number) for number in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
    assert some([]) == "none"
