"""Which names a Pod captures, at which addresses, and where calls to them go."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import catalog, container, port, service, view_of_pod
from tests.core import strategies
from webhook.core import names
from webhook.core.annotations import references
from webhook.core.capture import (
    Capture,
    Captures,
    Listen,
    carried_addresses,
    find_captures,
    is_our_alias,
    keep_captures,
    service_hostnames,
)
from webhook.core.model import DiscoveryMode, ServiceRef, SidecarSettings
from webhook.core.pod import Pod, read_pod, served_ports
from webhook.core.view import make_view

SETTINGS = SidecarSettings()
XDS = DiscoveryMode.XDS
OURS = IPv4Network("127.64.0.0/10")


def found(
    *objects: Any,
    pod: Pod | None = None,
    wish: bool | None = True,
    mode: DiscoveryMode = DiscoveryMode.DNS,
    **given: Any,
) -> Captures:
    """Say what a Pod captures beside some objects."""
    known, of = catalog(*objects), pod or view_of_pod()
    view, _ = make_view(known, of.namespace, None, mode)
    return find_captures(of, known, view, given.get("settings", SETTINGS), wish=wish)


def kept(
    pod: Pod, *objects: Any, mode: DiscoveryMode = DiscoveryMode.DNS, settings: SidecarSettings = SETTINGS
) -> tuple[Capture, ...]:
    """Say what a live Pod captures beside some objects."""
    known = catalog(*objects)
    view, _ = make_view(known, pod.namespace, None, mode)
    return keep_captures(pod, known, view, settings)


def names_of(captures: Captures) -> list[str]:
    """Give the Services."""
    return [str(each.service) for each in captures.captured]


def listens(capture: Capture) -> list[tuple[int, str, bool]]:
    """Give what is listened on."""
    return [(each.port, each.upstream.cluster, each.grpc) for each in capture.listens]


def alias(*hostnames: str, ip: str = "127.99.0.1") -> Any:
    """Make an entry of `spec.hostAliases`."""
    return {"ip": ip, "hostnames": list(hostnames)}


OLD = alias("orders", "orders.shop", "orders.shop.svc", "orders.shop.svc.cluster.local")
ORDERS, USERS = ServiceRef("shop", "orders"), ServiceRef("shop", "users")


@pytest.mark.parametrize(
    ("pod_or_namespace", "of_service", "usual", "expected"),
    [
        (None, None, False, False),
        (None, None, True, True),
        (None, "enabled", False, True),
        (None, "disabled", True, False),
        (True, None, False, True),
        (True, "disabled", True, False),
        (False, "enabled", True, False),
        (False, None, True, False),
    ],
)
def test_whose_wish_counts(pod_or_namespace: bool | None, of_service: str | None, usual: bool, expected: bool) -> None:
    """A no of the Pod, its Namespace or the Service is one; else a yes of any of them, else the operator's word."""
    words = {} if of_service is None else {names.CAPTURE: of_service}

    captures = found(service(annotations=words), wish=pod_or_namespace, settings=SidecarSettings(capture=usual))

    assert names_of(captures) == (["orders.shop"] if expected else [])


def test_a_pod_that_wishes_nothing_is_told_nothing() -> None:
    """Neither what it could have."""
    assert found(service(), service("a", clusterIP="10.0.0.1"), wish=None) == Captures()
    assert found(service(annotations={names.CAPTURE: "enabled"}), wish=False) == Captures()


def test_every_form_of_the_name() -> None:
    """The bare one only in the Service's own namespace; names of single pods are none of them."""
    full = ("orders.shop", "orders.shop.svc", "orders.shop.svc.k8s.example")

    assert service_hostnames(ORDERS, "shop", "k8s.example") == ("orders", *full)
    assert service_hostnames(ORDERS, "bank", "k8s.example") == full


def test_an_exported_service_is_captured_without_its_bare_name() -> None:
    """It may stand for another one here."""
    exported = service("hq", namespace="store", annotations={names.EXPORT_TO: "shop"})

    [capture] = found(exported).captured

    assert capture.host_alias == {
        "ip": capture.address,
        "hostnames": ["hq.store", "hq.store.svc", "hq.store.svc.cluster.local"],
    }


def test_every_port_is_listened_on() -> None:
    """Declared gRPC is balanced, all else passes through; the pods' own ports of a headless Service too."""
    [capture] = found(service("orders", port(8000, "grpc", targetPort=50051), port(5432, "db"))).captured

    assert listens(capture) == [
        (5432, "orders.shop:5432", False),
        (8000, "orders.shop:50051", True),
        (50051, "orders.shop:50051", True),
    ]


def test_an_address_translates_ports_so_only_its_own_are_dialled() -> None:
    """And its DNS leads to one address, where it has its own number."""
    made = service("users", port(8000, "grpc", targetPort=50051), port(8001, "b", targetPort=7), clusterIP="10.0.0.1")

    [capture] = found(made, mode=XDS).captured

    assert listens(capture) == [(8000, "users.shop:8000", True), (8001, "users.shop:8001", False)]
    assert [each.upstream.endpoints for each in capture.listens] == ["users.shop:8000", "users.shop:8001"]
    assert {each.upstream.headless for each in capture.listens} == {False}


def test_a_named_target_port_that_nobody_knows_passes_through() -> None:
    """By the number that was dialled: there is no better guess, and it is no worse than without us."""
    made = service("orders", port(8000, "grpc"), port(8001, "grpc-b", targetPort="api"))

    [capture] = found(made).captured

    assert listens(capture) == [(8000, "orders.shop:8000", True), (8001, "orders.shop:8001", False)]


def test_only_upstreams_that_the_pod_sees_are_balanced() -> None:
    """It may have chosen one port of several."""
    known = catalog(service("orders", port(8000, "grpc"), port(8001, "grpc-b")))
    view, _ = make_view(known, "shop", references("orders:8001"))

    [capture] = find_captures(view_of_pod(), known, view, SETTINGS, wish=True).captured

    assert listens(capture) == [(8000, "orders.shop:8000", False), (8001, "orders.shop:8001", True)]


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (service("orders", port(50051, "grpc"), port(53, "b", protocol="UDP")), "a port that is not TCP (UDP)"),
        (service("orders", port(50051, "grpc"), port(53, "b", protocol="SCTP")), "a port that is not TCP (SCTP)"),
        (service(sessionAffinity="ClientIP"), "sessionAffinity keeps a client with one pod"),
        (service(internalTrafficPolicy="Local"), "internalTrafficPolicy keeps calls on the node"),
        (service("orders", port(50051)), "none of its ports is declared gRPC"),
        (service("orders", port(80, "grpc")), "may not bind its port 80 without the setting"),
        (service("orders", port(80, "b", targetPort="api"), port(8000, "grpc")), "may not bind its port 80"),
        (
            service("orders", port(8000, "grpc", targetPort=8080), port(8080, "b", targetPort=9090)),
            "its port 8080 is also what the pods listen on for its port 8000",
        ),
        (service("localhost"), "its name means the pod itself"),
        (service("orders", port(19021, "grpc")), "the sidecar itself listens on port 19021"),
        (service("orders", port(8000, "grpc", targetPort=15001)), "the sidecar itself listens on port 15001"),
        (service(selector={"app": "front"}), "Service orders.shop, which selects the pod, targets port 50051"),
    ],
)  # fmt: skip
def test_what_could_break_an_app_is_left_alone(made: Any, why: str) -> None:
    """With the reason, and another Service is captured all the same."""
    captures = found(made, service("users", port(50099, "grpc")))

    assert names_of(captures) == ["users.shop"]
    [(ref, said)] = captures.left
    assert (ref.name, why in said) == (made["metadata"]["name"], True), said


@pytest.mark.parametrize(
    "made",
    [
        service(sessionAffinity="None", internalTrafficPolicy="Cluster"),
        service("orders", port(80, "grpc", targetPort=50051)),
        service("orders", port(8000, "grpc", targetPort=8080), port(8080, "b")),
        service("orders", port(50051, "grpc"), {"port": 70000}),
        service("orders", port(9001, "grpc"), port(8001, "b")),
    ],
)
def test_what_only_looks_odd_is_captured(made: Any) -> None:
    """A number below 1024 that no pod listens on was of no use before; a port may be two ports' target."""
    assert names_of(found(made)) == ["orders.shop"]


def test_ports_below_1024_are_captured_where_the_operator_says_that_they_can_be() -> None:
    """All of them; one that only translates is still of no use."""
    web = service("web", port(443, "grpc"), port(80, "http"))
    orders = service("orders", port(80, "grpc", targetPort=50051))
    allowed = SidecarSettings(privileged_ports=True)

    captures = {each.service.name: each for each in found(web, orders, settings=allowed).captured}

    assert listens(captures["web"]) == [(80, "web.shop:80", False), (443, "web.shop:443", True)]
    assert [port for port, _, _ in listens(captures["orders"])] == [50051]


def test_a_live_pod_listens_below_1024_only_where_it_may() -> None:
    """Its Service may have got such a port since; a listener that cannot be had would be refused again and again."""
    moved = service("orders", port(80, "grpc"), port(50051, "grpc-b"))

    [before] = kept(LIVE, moved)
    [allowed] = kept(LIVE, moved, settings=SidecarSettings(privileged_ports=True))

    assert [port for port, _, _ in listens(before)] == [50051]
    assert [port for port, _, _ in listens(allowed)] == [80, 50051]


@pytest.mark.parametrize("ports", [7, "x", [7], [{"protocol": []}], [{"protocol": {"a": 1}, "port": 1}], None])
def test_ports_of_no_shape_raise_nothing(ports: Any) -> None:
    """They come from files too."""
    assert names_of(found(service(ports=ports))) == []


def test_a_service_with_an_address_takes_part_where_endpoints_are_pushed() -> None:
    """By DNS it is left alone, and it is said what would do; one that is not gRPC is nobody's business."""
    objects = (service("users", clusterIP="10.0.0.1"), service("web", port(8000, "http"), clusterIP="10.0.0.2"))
    why = "it is not headless: that takes evenkeel.dev/discovery: xds"

    assert found(*objects) == Captures((), ((USERS, why),))
    assert (names_of(found(*objects, mode=XDS)), found(*objects, mode=XDS).left) == (["users.shop"], ())


@pytest.mark.parametrize(
    "fields",
    [
        {"ports": [{"containerPort": 50051}]},
        {"readinessProbe": {"grpc": {"port": 50051}}},
        {"livenessProbe": {"tcpSocket": {"port": 50051}}},
        {"startupProbe": {"httpGet": {"port": 50051}}},
        {"lifecycle": {"postStart": {"httpGet": {"port": 50051}}}},
        {"lifecycle": {"preStop": {"tcpSocket": {"port": 50051}}}},
    ],
)
@pytest.mark.parametrize("place", ["containers", "initContainers"])
def test_never_a_port_that_the_pod_itself_says_to_serve(fields: Any, place: str) -> None:
    """By its ports, probes and hooks, in every container: the app must be able to bind it on all addresses."""
    serving, other = container("server", **fields), container()
    document = {"containers": [serving]} if place == "containers" else {"initContainers": [serving]}
    pod = view_of_pod(**{"containers": [other], **document})

    captures = found(service(), pod=pod)

    assert captures == Captures((), ((ORDERS, "the pod itself serves port 50051, and two cannot"),))


def test_a_probe_of_another_kind_and_a_udp_port_are_no_matter() -> None:
    """Nothing of the app's TCP is there."""
    odd = container(
        ports=[{"containerPort": 50051, "protocol": "UDP"}],
        livenessProbe={"exec": {"command": ["true"]}},
        readinessProbe={"httpGet": {"port": "named"}},
        lifecycle="odd",
    )

    assert names_of(found(service(), pod=view_of_pod(containers=[odd]))) == ["orders.shop"]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"hostAliases": [alias("orders.shop.svc", ip="10.0.0.1")]}, "orders.shop.svc"),
        ({"hostAliases": [alias("x"), alias("orders", ip="127.0.0.1")]}, "orders"),
        ({"hostname": "orders"}, "orders"),
    ],
)
def test_a_name_that_the_author_gave_a_meaning_keeps_it(fields: Any, name: str) -> None:
    """Aliases of the author's own and the Pod's own name."""
    captures = found(service(), pod=view_of_pod(**fields))

    assert captures == Captures((), ((ORDERS, f"the pod gives the name {name} a meaning of its own"),))


def test_an_address_is_the_same_in_every_pod_and_at_any_time() -> None:
    """It depends on the Service's name alone, so that nobody has to remember it."""
    alone, beside = found(service()).captured[0], found(*(service(f"s{each}") for each in range(50)), service())
    [same] = [each for each in beside.captured if each.service == ORDERS]

    assert alone.address == same.address == "127.117.205.185"


def test_no_two_names_of_a_pod_share_an_address() -> None:
    """Whoever comes second moves on by one; an address of the author's own counts as taken."""
    [first] = found(service()).captured
    taken = view_of_pod(hostAliases=[alias("mine", ip=first.address)])

    [moved] = found(service(), pod=taken).captured

    assert int(IPv4Address(moved.address)) == int(IPv4Address(first.address)) + 1


@pytest.mark.parametrize(
    ("found_alias", "ours"),
    [
        (OLD, ORDERS),
        (alias("hq.store", "hq.store.svc", "hq.store.svc.k8s.example"), ServiceRef("store", "hq")),
        (alias("other", "hq.store", "hq.store.svc", "hq.store.svc.k8s.example"), None),
        (alias("orders", "orders.shop", "orders.shop.svc"), None),
        (alias("orders.shop", "orders.shop.svc"), None),
        (alias(*OLD["hostnames"], ip="127.0.0.1"), None),
        (alias(*OLD["hostnames"], ip="10.0.0.1"), None),
        (alias(*OLD["hostnames"], ip="127.128.0.0"), None),
        (alias(*OLD["hostnames"], ip="::1"), None),
        ({"ip": 7, "hostnames": OLD["hostnames"]}, None),
        ({"ip": "127.64.0.1"}, None),
        ({"ip": "127.64.0.1", "hostnames": "orders"}, None),
        ({"ip": "127.64.0.1", "hostnames": [None, 1, {}]}, None),
        ({}, None),
    ],
)
def test_an_alias_of_ours_is_known_by_its_address_and_names(found_alias: Any, ours: ServiceRef | None) -> None:
    """Both as we write them; everything else is the author's."""
    pod = view_of_pod(hostAliases=[found_alias])

    assert list(carried_addresses(pod)) == ([] if ours is None else [ours])
    assert is_our_alias(found_alias) is (ours is not None)


def test_a_pod_that_brings_aliases_along_keeps_their_addresses() -> None:
    """As a copy made for debugging does; what is new beside them gets its own."""
    captures = found(service(), service("users"), pod=view_of_pod(hostAliases=[OLD]))

    assert [(each.service, each.address) for each in captures.captured] == [
        (ORDERS, "127.99.0.1"),
        (USERS, "127.106.50.67"),
    ]
    assert listens(captures.captured[0]) == [(50051, "orders.shop:50051", True)]


def test_a_pod_that_says_no_still_has_the_listeners_of_its_aliases() -> None:
    """Its names lead there, whatever it says now."""
    captures = found(service(), pod=view_of_pod(hostAliases=[OLD]), wish=False)

    assert [listens(each) for each in captures.captured] == [[(50051, "orders.shop:50051", True)]]


LIVE = view_of_pod(hostAliases=[OLD], containers=[container(ports=[{"containerPort": 7000}])])


@pytest.mark.parametrize(
    ("now", "mode", "expected"),
    [
        ([], DiscoveryMode.DNS, []),
        ([service("orders", port(6000, "grpc"))], DiscoveryMode.DNS, [(6000, "orders.shop:6000", True)]),
        (
            [service("orders", port(50051, "grpc"), port(7000, "b"), port(80, "c"), port(15001, "d"))],
            DiscoveryMode.DNS,
            [(50051, "orders.shop:50051", True)],
        ),
        ([service(clusterIP="10.0.0.1")], DiscoveryMode.DNS, [(50051, "orders.shop:50051", True)]),
        ([service(clusterIP="10.0.0.1")], XDS, [(50051, "orders.shop:50051", True)]),
        ([service("orders", port(50051, "http"))], DiscoveryMode.DNS, [(50051, "orders.shop:50051", False)]),
        ([service(sessionAffinity="ClientIP")], DiscoveryMode.DNS, [(50051, "orders.shop:50051/direct", False)]),
        (
            [service(clusterIP="10.0.0.1", sessionAffinity="ClientIP")],
            XDS,
            [(50051, "orders.shop:50051/direct", False)],
        ),
        (
            [service("orders", port(50051, "grpc"), port(53, "b", protocol="UDP"))],
            XDS,
            [(50051, "orders.shop:50051/direct", False)],
        ),
        ([service(annotations={names.CAPTURE: "disabled"})], DiscoveryMode.DNS, [(50051, "orders.shop:50051", True)]),
        (
            [service(), service("front", port(50051, "x"), selector={"app": "front"})],
            DiscoveryMode.DNS,
            [(50051, "orders.shop:50051", True)],
        ),
    ],
    ids=[
        *("gone", "other-ports", "ports-that-cannot-be-had", "got-an-address", "got-an-address-pushed"),
        *("no-more-grpc", "affinity", "affinity-behind-an-address", "got-a-udp-port", "said-no-later"),
        "another-service-targets-the-port",
    ],
)
def test_a_live_pod_listens_for_its_aliases_whatever_becomes_of_their_services(
    now: Any, mode: DiscoveryMode, expected: list[tuple[int, str, bool]]
) -> None:
    """Its names lead here for life; what must not be spread goes to the Service's own address."""
    [capture] = kept(LIVE, *now, mode=mode)

    assert (capture.service, capture.address) == (ORDERS, "127.99.0.1")
    assert listens(capture) == expected


def test_a_live_pod_captures_nothing_new() -> None:
    """Its /etc/hosts was written when it was made."""
    assert [each.service for each in kept(LIVE, service(), service("users"))] == [ORDERS]
    assert kept(view_of_pod(), service()) == ()


def test_values_compare_by_content() -> None:
    """Configurations are kept by them."""
    assert found(service()) == found(service())
    assert hash(found(service()).captured) == hash(found(service()).captured)


PODS = strategies.pods()
MODES = st.sampled_from(DiscoveryMode)


@given(PODS, st.lists(strategies.services(), max_size=6), MODES)
@settings(max_examples=120)
def test_whatever_is_captured_breaks_no_promise(document: Any, objects: list[Any], mode: DiscoveryMode) -> None:
    """No port that the Pod may serve, no address twice, all loopback, every port of the Service, no name twice."""
    pod = read_pod(document, "shop")
    known = catalog(*objects)
    captures = found(*objects, pod=pod, mode=mode).captured
    selecting = {each for one in known.own("shop") if one.selects(pod.labels) for each in one.target_ports}
    forbidden = {*served_ports(pod), *selecting, SETTINGS.ports.ingress, SETTINGS.ports.probe, *range(1024)}
    hostnames = [name for each in captures for name in each.hostnames]
    addresses = [each.address for each in captures]

    assert {port.port for each in captures for port in each.listens} & forbidden == set()
    assert len(set(addresses)) == len(addresses)
    assert all(IPv4Address(each) in OURS for each in addresses)
    assert len(set(hostnames)) == len(hostnames)
    for each in captures:
        made = known.services[each.service]
        numbers = {one.number for one in made.ports if not made.headless or one.target in (None, one.number)}
        assert numbers <= {one.port for one in each.listens}
        assert any(one.grpc for one in each.listens)
        assert each.service.name != "localhost"


@given(PODS, st.lists(strategies.services(), max_size=5), MODES)
@settings(max_examples=80)
def test_what_was_captured_is_read_back_and_kept(document: Any, objects: list[Any], mode: DiscoveryMode) -> None:
    """A live Pod beside the same Services listens as it did from the start."""
    before = found(*objects, pod=read_pod(document, "shop"), mode=mode).captured
    spec = {**document["spec"], "hostAliases": [each.host_alias for each in before]}

    after = kept(read_pod({**document, "spec": spec}, "shop"), *objects, mode=mode)

    assert after == before


def test_a_listen_says_what_it_is() -> None:
    """Plain data."""
    [capture] = found(service()).captured
    [listen] = capture.listens

    assert listen == Listen(50051, listen.upstream, grpc=True)
