"""Bootstrap, clusters and listeners, and the one static document that Envoy can check."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.builders import catalog, port, service, templates
from webhook.core import names
from webhook.core.envoy import resources
from webhook.core.envoy.listeners import listeners
from webhook.core.envoy.resources import dns_refresh
from webhook.core.envoy.routes import Routes
from webhook.core.envoy.static import as_static
from webhook.core.model import Ports, SidecarSettings
from webhook.core.view import make_view

SETTINGS = SidecarSettings()
VIEW, _ = make_view(
    catalog(service("orders", port(80, "grpc", targetPort=50051), annotations={names.LB_POLICY: "least_request"})),
    "shop",
    None,
)


def files(app_port: int | None = None) -> tuple[Any, Any, Any, Any]:
    """Give the four files."""
    routes = Routes(SETTINGS, templates().retries).configuration(VIEW, None)
    return (
        resources.bootstrap(templates(), SETTINGS),
        resources.clusters(templates(), SETTINGS, VIEW.upstreams, app_port),
        {"resources": [routes]},
        listeners(templates(), SETTINGS, ingress=app_port is not None, access_log=True),
    )


@pytest.mark.parametrize(
    ("seconds", "rate", "upstreams", "expected"),
    [
        (5, 10, 0, "5s"), (5, 10, 50, "5s"), (5, 10, 51, "10s"), (5, 10, 100, "10s"), (5, 10, 101, "15s"),
        (1, 10, 10, "1s"), (1, 10, 11, "5s"), (7, 1, 8, "10s"), (5, 10, 1000, "100s"),
    ],
)  # fmt: skip
def test_how_often_names_are_asked_for(seconds: int, rate: int, upstreams: int, expected: str) -> None:
    """As set, and in steps of five seconds less often where that would be too many queries."""
    settings = SidecarSettings(dns_refresh_seconds=seconds, dns_queries_per_second=rate)

    actual = dns_refresh(settings, upstreams)

    assert expected == actual


def test_a_cluster_dials_the_target_port_by_the_full_name() -> None:
    """With a trailing dot, which passes by /etc/hosts and the search domains; the Service's policy."""
    [orders, _] = files()[1]["resources"]

    [endpoint] = orders["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["socket_address"] == {
        "address": "orders.shop.svc.cluster.local.",
        "port_value": 50051,
    }
    assert orders["lb_policy"] == "LEAST_REQUEST"
    assert orders["cluster_type"]["typed_config"]["dns_refresh_rate"] == "5s"
    assert orders["cluster_type"]["typed_config"]["respect_dns_ttl"] is False


def test_calls_are_counted_by_endpoint_where_the_operator_says_so() -> None:
    """Of upstreams alone: the app is one endpoint, and names that are called unasked could be any number."""
    settings = SidecarSettings(endpoint_metrics=True)
    counted = resources.clusters(templates(), settings, VIEW.upstreams, 8080)["resources"]

    assert [each["name"] for each in counted if "track_cluster_stats" in each] == ["orders.shop:50051"]
    assert not [each["name"] for each in files(8080)[1]["resources"] if "track_cluster_stats" in each]


def test_the_app_s_cluster_is_there_with_an_ingress() -> None:
    """And only then."""
    assert [each["name"] for each in files(8080)[1]["resources"]] == [
        "orders.shop:50051",
        "any-headless-service",
        "app",
    ]
    assert [each["name"] for each in files()[1]["resources"]] == ["orders.shop:50051", "any-headless-service"]


def test_an_ingress_may_come_before_the_app_s_cluster() -> None:
    """Envoy reads them from two files; an order that it refuses once would leave the Pod without an ingress."""
    _, into = listeners(templates(), SETTINGS, ingress=True, access_log=False)["resources"]
    manager = into["filter_chains"][0]["filters"][0]["typed_config"]

    assert manager["route_config"]["validate_clusters"] is False


@pytest.mark.parametrize(
    ("ipv6", "ingress", "probe", "egress"),
    [
        (False, ("0.0.0.0", False), ("0.0.0.0", False), []),
        (True, ("::", True), ("::", True), [{"address": {"socket_address": {"address": "::1", "port_value": 19}}}]),
    ],
)
def test_addresses(ipv6: bool, ingress: Any, probe: Any, egress: Any) -> None:
    """Egress and admin on localhost only; ingress and probe on all addresses, of both families where there are two."""
    settings = SidecarSettings(ipv6=ipv6, ports=Ports(egress=19, ingress=20, admin=21, probe=22))
    bootstrap = resources.bootstrap(templates(), settings)
    out, into = listeners(templates(), settings, ingress=True, access_log=False)["resources"]

    def address(holder: Any) -> tuple[str, int, bool]:
        found = holder["address"]["socket_address"]
        return found["address"], found["port_value"], found.get("ipv4_compat", False)

    assert address(out) == ("127.0.0.1", 19, False)
    assert out["additional_addresses"] == egress
    assert address(into) == (ingress[0], 20, ingress[1])
    assert address(bootstrap["admin"]) == ("127.0.0.1", 21, False)
    assert address(bootstrap["static_resources"]["listeners"][0]) == (probe[0], 22, probe[1])


def test_the_probe_port_serves_two_paths_and_only_to_read() -> None:
    """Nothing else of admin can be reached from other pods."""
    manager = files()[0]["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    [host] = manager["route_config"]["virtual_hosts"]

    assert [each["match"]["path"] for each in host["routes"]] == ["/ready", "/stats/prometheus"]
    assert {each["match"]["headers"][0]["string_match"]["exact"] for each in host["routes"]} == {"GET"}
    assert {"prefix", "safe_regex"} & {key for each in host["routes"] for key in each["match"]} == set()


def test_what_changes_in_a_pod_s_life_is_read_from_watched_files() -> None:
    """Envoy follows the kubelet's swap of the folder only where it watches it."""
    bootstrap, _, _, listeners = files()
    rds = listeners["resources"][0]["filter_chains"][0]["filters"][0]["typed_config"]["rds"]["config_source"]
    sources = [bootstrap["dynamic_resources"][each] for each in ("cds_config", "lds_config")]

    assert [each["path_config_source"] for each in (*sources, rds)] == [
        {"path": f"/etc/evenkeel/{name}.yaml", "watched_directory": {"path": "/etc/evenkeel"}}
        for name in ("clusters", "listeners", "routes")
    ]


@pytest.mark.parametrize("log", [True, False])
def test_the_access_log_can_be_switched(log: bool) -> None:
    """For egress, where the app's own calls are."""
    [egress] = listeners(templates(), SETTINGS, ingress=False, access_log=log)["resources"]

    assert bool(egress["filter_chains"][0]["filters"][0]["typed_config"]["access_log"]) is log


def test_static_holds_the_same_and_changes_nothing() -> None:
    """Listeners, routes and clusters stand in the bootstrap; the four files are as they were."""
    four = files(8080)
    before = copy.deepcopy(four)

    static = as_static(*four)

    assert four == before
    assert "dynamic_resources" not in static
    inside = static["static_resources"]
    assert [each["name"] for each in inside["listeners"]] == ["probe", "egress", "ingress"]
    assert [each["name"] for each in inside["clusters"]] == [
        "admin",
        "orders.shop:50051",
        "any-headless-service",
        "app",
    ]
    manager = inside["listeners"][1]["filter_chains"][0]["filters"][0]["typed_config"]
    assert "rds" not in manager
    assert manager["route_config"]["virtual_hosts"] == four[2]["resources"][0]["virtual_hosts"]
    assert [each for each in (*inside["listeners"], *inside["clusters"]) if "@type" in each] == []
