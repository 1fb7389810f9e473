"""What a Pod sees, and where its calls go that name nobody."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import catalog, port, service
from webhook.core import names
from webhook.core.annotations import reference, references
from webhook.core.catalog import Catalog
from webhook.core.model import DiscoveryMode, ServiceRef, Upstream
from webhook.core.view import Ambiguous, Target, Unknown, View, default_target, make_view

EVERYBODY = {names.EXPORT_TO: "*"}
OWN = service("orders", port(80, "grpc", targetPort=50051), port(81, "grpc-b"))
UNDECLARED = service("plain", port(7000))
EXPORTED = service("stock", namespace="store", annotations=EVERYBODY)
FRONT = {"app": "front"}


def view(*objects: Any, only: str | None = None) -> View:
    """Give what pods of `shop` see."""
    return make_view(catalog(*objects), "shop", references(only) if only else None)[0]


def clusters(seen: View) -> list[str]:
    """Give the names of the clusters."""
    return [upstream.cluster for upstream in seen.upstreams]


def shown(target: Target) -> Any:
    """Give a target in a form that is short to write."""
    match target:
        case Upstream():
            return target.cluster
        case Ambiguous(claimants):
            return list(claimants)
        case Unknown(unknown):
            return f"unknown {unknown}"
        case None:
            return None


def test_own_before_exported_and_only_services_with_upstreams() -> None:
    """A Service without an upstream takes no part."""
    seen = view(EXPORTED, OWN, service("web", port(80, "http")), service("hidden", namespace="store"))

    assert clusters(seen) == ["orders.shop:50051", "orders.shop:81", "stock.store:50051"]


def test_two_ports_with_one_target_are_one_cluster() -> None:
    """Envoy would be asked for one name twice."""
    seen = view(service("orders", port(80, "grpc", targetPort=5), port(81, "grpc-b", targetPort=5)))

    assert clusters(seen) == ["orders.shop:5"]


@pytest.mark.parametrize(
    ("only", "expected", "missing"),
    [
        ("orders", ["orders.shop:50051", "orders.shop:81"], []),
        ("orders:80", ["orders.shop:50051"], []),
        ("orders:50051", ["orders.shop:50051"], []),
        ("orders:grpc-b", ["orders.shop:81"], []),
        ("orders:81,orders:80", ["orders.shop:50051", "orders.shop:81"], []),
        ("orders.shop:81", ["orders.shop:81"], []),
        ("stock", [], ["stock"]),
        ("stock.store", ["stock.store:50051"], []),
        ("orders:99,plain", ["plain.shop:7000"], ["orders:99"]),
        ("orders.store", [], ["orders.store"]),
        ("orders:none", [], ["orders:none"]),
    ],
)
def test_only_these(only: str, expected: list[str], missing: list[str]) -> None:
    """By name, namespace and port, the Service's port before the target's before its name."""
    seen, unanswered = make_view(catalog(OWN, UNDECLARED, EXPORTED), "shop", references(only))

    assert expected == clusters(seen)
    assert missing == [str(each) for each in unanswered]


def test_a_reference_means_the_service_s_port_first() -> None:
    """Port 81 is the Service's own, though it is also the target of 80."""
    seen = view(service("orders", port(80, "grpc", targetPort=81), port(81, "grpc-b", targetPort=82)), only="orders:81")

    assert clusters(seen) == ["orders.shop:82"]


@pytest.mark.parametrize(
    ("objects", "labels", "chosen", "expected"),
    [
        ([], FRONT, None, None),
        ([OWN], FRONT, None, "orders.shop:50051"),
        ([OWN], {"app": "orders"}, None, None),
        ([OWN, UNDECLARED], FRONT, None, "orders.shop:50051"),
        ([OWN, UNDECLARED], {"app": "orders"}, None, "plain.shop:7000"),
        ([OWN, service("b")], FRONT, None, ["b.shop", "orders.shop"]),
        ([OWN, service("b")], {"app": "b"}, None, "orders.shop:50051"),
        ([UNDECLARED, EXPORTED], FRONT, None, "plain.shop:7000"),
        ([EXPORTED], FRONT, None, "stock.store:50051"),
        ([EXPORTED], {"app": "stock"}, None, "stock.store:50051"),
        ([OWN, EXPORTED], {"app": "orders"}, None, "stock.store:50051"),
        ([service("orders", selector=None)], FRONT, None, "orders.shop:50051"),
        ([OWN, service("b")], FRONT, "b", "b.shop:50051"),
        ([OWN, service("b")], FRONT, "orders:81", "orders.shop:81"),
        ([OWN], {"app": "orders"}, "orders", "orders.shop:50051"),
        ([OWN], FRONT, "later:7", "unknown later:7"),
        ([OWN, EXPORTED], FRONT, "stock", "unknown stock"),
        ([OWN, EXPORTED], FRONT, "stock.store", "stock.store:50051"),
    ],
)
def test_default(objects: list[Any], labels: dict[str, str], chosen: str | None, expected: Any) -> None:
    """The Pod's choice; else the only one of the first group that has any."""
    target = default_target(view(*objects), labels, reference(chosen) if chosen else None)

    assert expected == shown(target)


def claim(name: str, paths: str, namespace: str = "shop") -> Any:
    """Give a Service that claims paths, exported to everybody."""
    return service(name, namespace=namespace, annotations={**EVERYBODY, names.GRPC_SERVICES: paths})


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([claim("a", "x.X,y.Y")], {"x.X": "a.shop:50051", "y.Y": "a.shop:50051"}),
        ([claim("a", "x.X"), claim("b", "x.X")], {"x.X": ["a.shop", "b.shop"]}),
        ([claim("a", "x.X"), claim("b", "x.X,z.Z", "store")], {"x.X": "a.shop:50051", "z.Z": "b.store:50051"}),
        ([claim("a", "x.X", "one"), claim("b", "x.X", "two")], {"x.X": ["a.one", "b.two"]}),
        ([claim("a", "x.X"), claim("b", "x.X"), claim("c", "x.X", "two")], {"x.X": ["a.shop", "b.shop"]}),
    ],
)
def test_paths(objects: list[Any], expected: Any) -> None:
    """One's own namespace decides where it claims a path; two claimants of one rank are ambiguous."""
    actual = {path: shown(target) for path, target in view(*objects).by_path.items()}

    assert expected == actual


def test_what_is_left_out_first() -> None:
    """Exported before undeclared before declared; one's choice stays."""
    seen = view(service("b"), service("a", port(1)), service("c"), EXPORTED)

    kept = [[str(one.ref) for one in seen.cut(most, None).services] for most in (4, 3, 2, 1, 0)]

    assert kept == [
        ["a.shop", "b.shop", "c.shop", "stock.store"],
        ["a.shop", "b.shop", "c.shop"],
        ["b.shop", "c.shop"],
        ["b.shop"],
        [],
    ]
    assert [str(one.ref) for one in seen.cut(1, reference("stock.store")).services] == ["stock.store"]
    assert [str(one.ref) for one in seen.cut(1, reference("nobody")).services] == ["b.shop"]


def test_a_service_too_large_is_passed_over() -> None:
    """Another namespace's with hundreds of ports takes no place that it cannot fill."""
    huge = service(
        "a", *[port(number, f"grpc-{number}") for number in range(1, 300)], namespace="a", annotations=EVERYBODY
    )

    assert [str(one.ref) for one in view(OWN, EXPORTED, huge).cut(100, None).services] == ["orders.shop", "stock.store"]


def test_nobody_gains_by_what_is_left_out() -> None:
    """Neither the default nor an ambiguous path falls to the one that is left."""
    part = view(claim("a", "x.X"), claim("b", "x.X,b.B"), claim("c", "b.B", "store")).cut(1, None)

    assert {path: shown(target) for path, target in part.by_path.items()} == {"x.X": ["a.shop", "b.shop"]}
    assert shown(default_target(part, FRONT, None)) == ["a.shop", "b.shop"]
    assert shown(default_target(view(OWN).cut(0, None), FRONT, None)) is None


def test_an_empty_catalog_is_seen_as_nothing() -> None:
    """A Pod may come before every Service."""
    assert make_view(Catalog(), "shop", None)[0].upstreams == ()


PUSHED = (
    service("orders"),
    service("users", port(80, "grpc", targetPort=8080), clusterIP="10.0.0.1"),
    service("web", port(80, "http"), clusterIP="10.0.0.2"),
    service("hq", namespace="store", clusterIP="10.0.0.3", annotations={names.EXPORT_TO: "shop"}),
)


def pushed(*objects: Any, only: str | None = None, mode: DiscoveryMode = DiscoveryMode.XDS) -> View:
    """Say what pods see where endpoints are pushed."""
    seen, _ = make_view(catalog(*objects), "shop", references(only) if only else None, mode)
    return seen


def test_where_endpoints_are_pushed_services_with_an_address_are_seen_too() -> None:
    """By their own numbers: their name leads to one address, which translates; only declared ports."""
    seen = pushed(*PUSHED, service("plain", port(80), clusterIP="10.0.0.4"))

    assert clusters(seen) == ["orders.shop:50051", "users.shop:80", "hq.store:50051"]
    assert [upstream.headless for upstream in seen.upstreams] == [True, False, False]
    assert seen.only_pushed == ()


def test_by_dns_they_are_known_as_what_could_be_seen() -> None:
    """So that it can be said what would do; not where the Pod chose others."""
    assert clusters(pushed(*PUSHED, mode=DiscoveryMode.DNS)) == ["orders.shop:50051"]
    assert [one.ref.name for one in pushed(*PUSHED, mode=DiscoveryMode.DNS).only_pushed] == ["users", "hq"]
    assert pushed(*PUSHED, mode=DiscoveryMode.DNS, only="orders").only_pushed == ()


def test_a_reference_means_them_too() -> None:
    """By name, and by the port's name or number."""
    assert clusters(pushed(*PUSHED, only="users, hq.store:grpc")) == ["users.shop:80", "hq.store:50051"]
    assert make_view(catalog(*PUSHED), "shop", references("users"))[1] == (reference("users"),)


def test_services_that_mean_one_node_only_are_never_pushed() -> None:
    """Their calls must not leave it."""
    local = service("agent", clusterIP="10.0.0.1", internalTrafficPolicy="Local")

    assert (clusters(pushed(local)), pushed(local, mode=DiscoveryMode.DNS).only_pushed) == ([], ())


def test_an_address_beside_a_headless_twin_is_not_the_default() -> None:
    """The usual pair of Services stands for the same pods."""
    pair = (service("orders-pods", selector={"app": "orders"}), service("orders", clusterIP="10.0.0.1"))
    target = default_target(pushed(*pair), {"app": "front"}, None)
    alone = default_target(pushed(pair[1]), {"app": "front"}, None)

    assert (shown(target), shown(alone)) == ("orders-pods.shop:50051", "orders.shop:50051")


def test_who_asks_for_capture_by_itself() -> None:
    """Among what is seen."""
    seen = view(service("orders", annotations={names.CAPTURE: "enabled"}), service("users"))

    assert [one.ref for one in seen.asking] == [ServiceRef("shop", "orders")]


def test_what_could_be_seen_is_part_of_the_content() -> None:
    """A Service that gets a gRPC port changes what Pods are told."""
    before, after = (pushed(*objects, mode=DiscoveryMode.DNS) for objects in (PUSHED[:1], PUSHED))

    assert not before.same(after)
    assert before.same(pushed(PUSHED[0], mode=DiscoveryMode.DNS))
    assert after.cut(1, None).only_pushed == after.only_pushed
