"""Routes as data: what Envoy would do with a call, worked out from the configuration."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.builders import catalog, port, service, templates
from webhook.core import names
from webhook.core.annotations import reference
from webhook.core.envoy.routes import Routes
from webhook.core.model import SidecarSettings
from webhook.core.view import default_target, make_view

SERVICES = (
    service("a", annotations={names.GRPC_SERVICES: "x.A, x.Both"}),
    service("b", port(80, "grpc", targetPort=50051), port(81, "grpc-b", targetPort=9090)),
    service("d", annotations={names.GRPC_SERVICES: "x.Both"}),
    service("c", namespace="other", annotations={names.EXPORT_TO: "*"}),
)


def configuration(*objects: Any, chosen: str | None = None, **settings: Any) -> Any:
    """Give the route configuration of a Pod of `shop`."""
    view, _ = make_view(catalog(*objects), "shop", None)
    target = default_target(view, {"app": "front"}, reference(chosen) if chosen else None)
    return Routes(SidecarSettings(**settings), templates().retries).configuration(view, target)


def call(config: Any, authority: str, path: str = "/y.Y/Call") -> str:
    """Do what Envoy does with a call: find the virtual host, then the first route; give cluster or message."""
    name = re.sub(r":\d+$", "", authority).removesuffix(".")
    exact = {domain: host for host in config["virtual_hosts"] for domain in host["domains"]}
    suffixes = [domain for domain in exact if domain.startswith("*") and name.endswith(domain[1:])]
    host = exact[name if name in exact else max(suffixes, key=len)]
    route = next(each for each in host["routes"] if matches(each["match"], authority, path))
    if "direct_response" in route:
        return str(route["direct_response"]["body_format"]["text_format_source"]["inline_string"]).rpartition("': ")[2]
    return str(route["route"]["cluster"])


def matches(match: Any, authority: str, path: str) -> bool:
    """Say whether a route's match is that of a call."""
    return path.startswith(match["prefix"]) and all(wanted(each, authority) for each in match.get("headers", []))


def wanted(header: Any, authority: str) -> bool:
    """Say whether a matcher of the authority says yes."""
    text = header["string_match"]
    if "suffix" in text:
        found = authority.endswith(text["suffix"])
    else:
        found = re.fullmatch(text["safe_regex"]["regex"], authority) is not None
    return bool(found != header.get("invert_match", False))


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("a", "a.shop:50051"),
        ("a:50051", "a.shop:50051"),
        ("a.shop", "a.shop:50051"),
        ("a.shop.svc", "a.shop:50051"),
        ("a.shop.svc.cluster.local", "a.shop:50051"),
        ("a.shop.svc.cluster.local.", "a.shop:50051"),
        ("a.shop.svc.cluster.local:50051", "a.shop:50051"),
        ("a:9001", "a.shop:50051"),
        ("a:1", "no such port; a.shop has 50051"),
        ("b", "b.shop:50051"),
        ("b:80", "b.shop:50051"),
        ("b:81", "b.shop:9090"),
        ("b:50051", "b.shop:50051"),
        ("b:9090", "b.shop:9090"),
        ("b:9001", "b.shop:50051"),
        ("b:181", "no such port; b.shop has 80 and 81 and 9090 and 50051"),
        ("c.other", "c.other:50051"),
        ("c.other.svc.cluster.local:50051", "c.other:50051"),
        ("x.y.svc.cluster.local:7000", "any-headless-service"),
        ("c.elsewhere.svc.cluster.local", "any-headless-service"),
    ],
)
def test_by_authority(authority: str, expected: str) -> None:
    """Every form of a name, with and without a port; any other full name by the forward proxy."""
    actual = call(configuration(*SERVICES), authority)

    assert expected == actual


@pytest.mark.parametrize("authority", ["c", "c:50051", "x", "x.y", "x.y.svc", "example.com", "10.0.0.1:50051", "xa"])
def test_a_name_that_nobody_has(authority: str) -> None:
    """Bare names of other namespaces too; the message names the choices."""
    actual = call(configuration(*SERVICES), authority)

    assert actual == (
        "no upstream; known: a.shop:50051 (x.A x.Both), b.shop:80 b.shop:81, d.shop:50051 (x.Both), c.other:50051"
    )


@pytest.mark.parametrize(
    ("path", "chosen", "expected"),
    [
        ("/x.A/Call", None, "a.shop:50051"),
        ("/x.A/Call", "b", "a.shop:50051"),
        ("/x.Both/Call", "b", "a.shop and d.shop all claim x.Both; call one by its name"),
        ("/x.Ab/Call", "b", "b.shop:50051"),
        ("/x.A", "b", "b.shop:50051"),
        ("/y.Y/Call", "b:81", "b.shop:9090"),
        ("/y.Y/Call", None, ("several upstreams are possible: a.shop, b.shop, d.shop; call one by its name or set "
                            "annotation evenkeel.dev/default-upstream")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("authority", ["localhost:9001", "127.0.0.1:9001", "localhost"])
def test_by_path_and_default(authority: str, path: str, chosen: str | None, expected: str) -> None:
    """Only where the authority is localhost: the path, else the default, else who is possible."""
    actual = call(configuration(*SERVICES, chosen=chosen), authority, path)

    assert expected == actual


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (None, "no upstream; none is known here"),
        ("later", "annotation evenkeel.dev/default-upstream names later, which is no upstream; none is known here"),
    ],
)
def test_nothing_is_known(chosen: str | None, expected: str) -> None:
    """A Pod that came before its Services is told so."""
    assert call(configuration(chosen=chosen), "localhost:9001") == expected
    assert call(configuration(chosen=chosen), "example.com") == "no upstream; none is known here"


def test_a_path_counts_only_for_localhost() -> None:
    """A call to a name goes there whatever its path is."""
    assert call(configuration(*SERVICES), "b", "/x.A/Call") == "b.shop:50051"


def test_a_service_called_localhost() -> None:
    """It is reached by its longer names, and localhost stays localhost."""
    config = configuration(service("localhost"), service("other"))

    assert call(config, "localhost.shop") == "localhost.shop:50051"
    assert call(config, "localhost", "/y.Y/C").startswith("several upstreams are possible")


def test_the_service_s_port_9001_is_its_own() -> None:
    """Where a Service has the port that is dialled, an authority with it means that port."""
    config = configuration(service("a", port(50051, "grpc"), port(9001, "grpc-b")))

    assert (call(config, "a:9001"), call(config, "a")) == ("a.shop:9001", "a.shop:50051")


def test_no_domain_stands_twice() -> None:
    """Envoy would refuse the whole configuration."""
    config = configuration(
        *SERVICES, service("localhost"), service("a", namespace="other", annotations={names.EXPORT_TO: "*"})
    )
    domains = [domain for host in config["virtual_hosts"] for domain in host["domains"]]
    hosts = [host["name"] for host in config["virtual_hosts"]]

    assert len(set(domains)) == len(domains)
    assert len(set(hosts)) == len(hosts)


def test_calls_are_shaped_by_the_service_s_words() -> None:
    """No time-out but the one asked for; the retries asked for."""
    words = {names.RETRY: "safe", names.MAX_TIMEOUT: "30s"}
    [host, *_] = configuration(service("a", annotations=words))["virtual_hosts"]

    action = host["routes"][0]["route"]

    assert action["timeout"] == "0s"
    assert action["max_stream_duration"] == {"max_stream_duration": "30s", "grpc_timeout_header_max": "30s"}
    assert action["retry_policy"] == templates().retries.fill()["safe"]


def test_retries_off_is_no_policy() -> None:
    """And without an annotation there is no longest call."""
    [host, *_] = configuration(service("a", annotations={names.RETRY: "off"}))["virtual_hosts"]

    assert host["routes"][0]["route"] == {"cluster": "a.shop:50051", "timeout": "0s"}


def test_ipv6_knows_the_other_localhost() -> None:
    """An app that dials [::1] gets the same routes."""
    host = configuration(ipv6=True)["virtual_hosts"][-2]

    assert host["domains"] == ["localhost", "127.0.0.1", "[::1]"]


def test_messages_are_bounded() -> None:
    """A message travels in a header: however many and long the names are, it stays below what callers take."""
    paths = ",".join(f"{'g' * 199}{number}" for number in range(9))
    long = [service(f"{'s' * 60}{number:03}", annotations={names.GRPC_SERVICES: paths}) for number in range(100)]
    wide = service("wide", *[port(number, f"grpc-{number}") for number in range(1, 400)])

    config = configuration(*long, wide)
    texts = [
        route["direct_response"]["body_format"]["text_format_source"]["inline_string"]
        for host in config["virtual_hosts"]
        for route in host["routes"]
        if "direct_response" in route
    ]

    assert max(map(len, texts)) < 2000
    assert "and 100 more" in call(config, "example.com")
    assert "and 379 more" in call(config, "wide:9999")
