"""The cluster's DNS: names from Services and Pods, answers on the wire."""

import pytest
from dnslib import EDNS0, QTYPE, RCODE, DNSRecord

from webhook.node.dns import Views, answer
from webhook.node.errors import NodeError
from webhook.node.services import Services
from webhook.node.zone import Endpoint, Zone, build

D = "cluster.local"
BASE = f"echo.shop.svc.{D}"


def _service(**spec):
    ports = [{"name": "grpc", "port": 50051, "targetPort": "api"}]
    return {"kind": "Service", "spec": {"clusterIP": "None", "selector": {"app": "echo"}, "ports": ports, **spec}}


def _endpoint(last, **rest):
    return Endpoint(
        **{"namespace": "shop", "labels": {"app": "echo"}, "address": f"10.244.0.{last}", "ready": True, **rest}
    )


def _ask(zone, name, kind="A", *, limit=None, edns=0):
    query = DNSRecord.question(name, kind)
    if edns:
        query.add_ar(EDNS0(udp_len=edns))
    return DNSRecord.parse(answer(query.pack(), zone, ttl=7, limit=limit))


def test_only_ready_pods_that_are_selected_count():
    """By namespace, labels and readiness."""
    pods = [_endpoint(2), _endpoint(3, ready=False), _endpoint(4, namespace="x"), _endpoint(5, labels={"app": "y"})]

    assert ("10.244.0.2",) == build({("shop", "echo"): _service()}, pods, D).addresses[BASE]
    early = build({("shop", "echo"): _service(publishNotReadyAddresses=True)}, pods, D)
    assert ("10.244.0.2", "10.244.0.3") == early.addresses[BASE]


def test_pods_have_names_of_their_own():
    """By host name where they ask for this subdomain, else by address; SRV leads to them, with the target port."""
    pods = [
        _endpoint(2, hostname="web-0", subdomain="echo", ports={"api": 8080}),
        _endpoint(3, hostname="web-1", subdomain="other", ports={"api": 9090}),
    ]
    zone = build({("shop", "echo"): _service()}, pods, D)

    assert ("10.244.0.2",) == zone.addresses[f"web-0.{BASE}"]
    assert ("10.244.0.3",) == zone.addresses[f"10-244-0-3.{BASE}"]
    assert ((f"web-0.{BASE}", 8080), (f"10-244-0-3.{BASE}", 9090)) == zone.servers[f"_grpc._tcp.{BASE}"]


def test_a_service_with_an_address_has_one_name_and_no_pods_below_it():
    """As CoreDNS; SRV leads to the Service itself, with its own port."""
    zone = build({("shop", "echo"): _service(clusterIP="10.96.0.7")}, [_endpoint(2, ports={"api": 8080})], D)

    assert {BASE: ("10.96.0.7",)} == zone.addresses
    assert {f"_grpc._tcp.{BASE}": ((BASE, 50051),)} == zone.servers


ZONE = Zone(D, {BASE: ("10.244.0.2", "10.244.0.3"), f"none.shop.svc.{D}": ()}, {f"_g._tcp.{BASE}": ((f"a.{BASE}", 5),)})


@pytest.mark.parametrize(
    ("name", "kind", "code", "count"),
    [
        (BASE, "A", RCODE.NOERROR, 2),
        (BASE.upper() + ".", "A", RCODE.NOERROR, 2),
        (BASE, "AAAA", RCODE.NOERROR, 0),
        (f"none.shop.svc.{D}", "A", RCODE.NOERROR, 0),
        (f"shop.svc.{D}", "A", RCODE.NOERROR, 0),
        (f"nobody.shop.svc.{D}", "A", RCODE.NXDOMAIN, 0),
        (f"_g._tcp.{BASE}", "SRV", RCODE.NOERROR, 1),
        ("example.com", "A", RCODE.REFUSED, 0),
        ("notcluster.local", "A", RCODE.REFUSED, 0),
    ],
)
def test_answers(name, kind, code, count):
    """Known, empty, unknown, foreign."""
    reply = _ask(ZONE, name, kind)

    assert (code, count) == (reply.header.rcode, len(reply.rr))
    assert {7} >= {record.ttl for record in reply.rr}
    assert (count == 0 and code != RCODE.REFUSED) == ([QTYPE.SOA] == [record.rtype for record in reply.auth])


@pytest.mark.parametrize(
    ("count", "edns", "cut"), [(20, 0, False), (100, 0, True), (100, 4096, False), (1000, 4096, True)]
)
def test_an_answer_that_does_not_fit_is_cut(count, edns, cut):
    """512 bytes, or what the query allows, 4096 at most; without a limit (TCP) never."""
    zone = Zone(D, {BASE: tuple(f"10.244.{n // 250}.{n % 250}" for n in range(count))})
    reply = _ask(zone, BASE, limit=4096, edns=edns)

    assert (cut, 0 if cut else count) == (bool(reply.header.tc), len(reply.rr))
    assert count == len(_ask(zone, BASE).rr)


def test_what_is_no_query_gets_no_answer():
    """Garbage, and answers of others."""
    assert [None, None] == [
        answer(data, ZONE, ttl=1) for data in (b"x", answer(DNSRecord.question(BASE).pack(), ZONE, ttl=1))
    ]


def test_changes_are_seen_when_they_are_stale_enough():
    """As behind a cache; equal zones are no change."""
    now = [0.0]
    views = Views(Zone(D), staleness=5, clock=lambda: now[0])
    now[0] = 10
    views.publish(ZONE)
    now[0] = 14
    views.publish(ZONE)
    assert {} == views.seen().addresses

    now[0] = 15
    assert ZONE == views.seen()


def test_services_say_whether_they_are_headless_and_each_change_is_told():
    """Nobody here gives a Service an address that it lacks."""
    told = []
    services = Services(lambda: told.append(len(services.all())))
    document = {**_service(), "metadata": {"name": "echo"}}
    services.apply(document)
    services.remove("default", "echo")
    assert [1, 0] == told

    services.apply({**document, "spec": {**document["spec"], "clusterIP": "10.96.0.7"}})
    assert [1, 0, 1] == told
    for wrong in ({}, {"clusterIP": ""}, {"clusterIP": "fd00::1"}, {"clusterIP": 7}):
        with pytest.raises(NodeError, match="must be 'None' \\(headless\\) or an IPv4 address"):
            services.apply({**document, "spec": wrong})
    with pytest.raises(NodeError, match="there is no Service a/b"):
        services.remove("a", "b")
