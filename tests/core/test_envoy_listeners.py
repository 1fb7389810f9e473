"""The listeners of captured names, the clusters and routes behind them, and what pushes endpoints."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import builders
from tests.builders import catalog, port, service, templates
from tests.core import envoys, strategies
from tests.core.summary import Files, parsed
from webhook.core import names
from webhook.core.envoy.listeners import listener_name, listeners
from webhook.core.errors import NotAPod
from webhook.core.model import SidecarSettings
from webhook.core.outcome import Sidecar
from webhook.core.pod import read_pod

CAPTURE = {names.CAPTURE: "enabled"}
PUSHED = {names.DISCOVERY: "xds"}
ORDERS = service("orders", port(8000, "grpc", targetPort=50051), port(5432, "db"))
USERS = service("users", clusterIP="10.0.0.1")
LOOPBACK = re.compile(r"127\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.\d+\.\d+")


def sidecar(*objects: Any, document: Any = None, **words: str) -> Sidecar:
    """Admit a Pod beside some objects."""
    annotations = {f"{names.DOMAIN}/{key}": text for key, text in words.items()}
    pod = read_pod(document or builders.pod(annotations=annotations), "shop")
    outcome = builders.injector().admit(pod, replace(catalog(*objects), trust="PEM"), None)
    assert outcome.sidecar is not None
    return outcome.sidecar


def files(*objects: Any, **words: str) -> Files:
    """Give what its sidecar reads."""
    return parsed({"metadata": {"annotations": sidecar(*objects, **words).annotations}})


def by_name(resources: Any) -> dict[str, Any]:
    """Give resources by their names."""
    return {each["name"]: each for each in resources["resources"]}


def filters(chain: Any) -> Any:
    """Give the configuration of a chain's one filter."""
    [found] = chain["filters"]
    return found["typed_config"]


def test_egress_and_ingress_come_first_and_stay_as_they_are() -> None:
    """Whatever is captured."""
    plain, captured = files(ORDERS), files(ORDERS, capture="enabled")

    assert plain.listeners["resources"] == captured.listeners["resources"][:1]
    assert [*by_name(captured.listeners)] == ["egress", "orders.shop:5432", "orders.shop:8000", "orders.shop:50051"]


def test_a_listener_is_named_by_what_is_dialled() -> None:
    """Not by the address: that may be another in another Pod."""
    captures = sidecar(ORDERS, capture="enabled").captures.captured

    assert [listener_name(captures[0], each.port) for each in captures[0].listens] == [
        *("orders.shop:5432", "orders.shop:8000", "orders.shop:50051")
    ]


def test_http2_is_balanced_and_all_else_passes_to_the_same_pods() -> None:
    """Found out by the first bytes, with a wait that ends: a server may speak first."""
    balanced = by_name(files(ORDERS, capture="enabled").listeners)["orders.shop:8000"]
    [chain] = balanced["filter_chains"]

    assert chain["filter_chain_match"] == {"application_protocols": ["h2c"]}
    assert filters(chain)["codec_type"] == "HTTP2"
    assert filters(chain)["rds"]["route_config_name"] == "captured"
    assert filters(balanced["default_filter_chain"])["cluster"] == "orders.shop:50051"
    assert (balanced["listener_filters_timeout"], balanced["continue_on_listener_filters_timeout"]) == ("0.5s", True)


def test_other_ports_are_not_looked_into() -> None:
    """A database speaks first and must not wait."""
    passing = by_name(files(ORDERS, capture="enabled").listeners)["orders.shop:5432"]

    assert "listener_filters" not in passing
    assert filters(passing["filter_chains"][0])["cluster"] == "orders.shop:5432"


def test_a_silent_connection_is_never_cut() -> None:
    """An app's pool may hold one for hours."""
    every = by_name(files(ORDERS, capture="enabled").listeners)
    proxies = [
        filters(every["orders.shop:5432"]["filter_chains"][0]),
        filters(every["orders.shop:8000"]["default_filter_chain"]),
    ]

    assert [each["idle_timeout"] for each in proxies] == ["0s", "0s"]
    assert filters(every["orders.shop:8000"]["filter_chains"][0])["stream_idle_timeout"] == "0s"


def test_connections_of_the_sidecar_itself_are_not_let_in() -> None:
    """They have a smaller TTL than what a captured listener takes."""
    found = files(ORDERS, capture="enabled")
    least = {
        option["int_value"]
        for name, each in by_name(found.listeners).items()
        if name != "egress"
        for option in each["socket_options"]
        if option["description"] == "IP_MINTTL"
    }
    sent = {
        option["int_value"]
        for name, each in by_name(found.clusters).items()
        if name.startswith("orders")
        for option in each["upstream_bind_config"]["socket_options"]
        if option["description"] == "IP_TTL"
    }

    assert (least, sent) == ({61}, {60})


def test_the_address_that_was_dialled_chooses_the_route_whatever_the_authority() -> None:
    """By a header that only the listener sets, over whatever the app says, and that no upstream sees.

    It says the address and the port; an operator's own template may say the listener's name.
    """
    found = files(ORDERS, capture="enabled")
    [routes] = found.captures["resources"]
    address = by_name(found.listeners)["orders.shop:8000"]["address"]["socket_address"]["address"]
    manager = filters(by_name(found.listeners)["orders.shop:8000"]["filter_chains"][0])
    [mutation] = manager["early_header_mutation_extensions"][0]["typed_config"]["mutations"]

    assert mutation["append"] == {
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        "header": {"key": "evenkeel-captured", "value": "%DOWNSTREAM_LOCAL_ADDRESS%"},
    }
    assert (routes["vhost_header"], routes["request_headers_to_remove"]) == ("evenkeel-captured", ["evenkeel-captured"])
    assert {host["name"]: host["domains"] for host in routes["virtual_hosts"]} == {
        "orders.shop:8000": [f"{address}:8000", "orders.shop:8000"],
        "orders.shop:50051": [f"{address}:50051", "orders.shop:50051"],
        "gone": ["*"],
    }


def test_calls_by_a_captured_name_have_the_service_s_policy() -> None:
    """Retries and the longest RPC, as by localhost."""
    made = service("orders", annotations={names.RETRY: "off", names.MAX_TIMEOUT: "2s"})
    found = files(made, capture="enabled")
    [routes] = found.captures["resources"]
    egress = next(host for host in found.routes["resources"][0]["virtual_hosts"] if host["name"] == "orders.shop")

    assert routes["virtual_hosts"][0]["routes"][0]["route"] == egress["routes"][0]["route"]


@pytest.mark.parametrize("log", [True, False])
def test_the_access_log_is_that_of_egress(log: bool) -> None:
    """Captured calls are the app's own too."""
    captures = sidecar(ORDERS, capture="enabled").captures.captured
    made = listeners(templates(), SidecarSettings(), ingress=False, access_log=log, captures=captures)

    logs = [bool(filters(each["filter_chains"][0]).get("access_log")) for each in made["resources"]]
    assert logs == [log, False, log, log]


def test_pushed_endpoints_go_before_those_of_the_dns() -> None:
    """The same settings for both, but for where they come from; with nobody there DNS answers after a second."""
    clusters = by_name(files(USERS, discovery="xds").clusters)
    whole, pushed, resolved = (clusters[f"users.shop:50051{end}"] for end in ("", "/pushed", "/dns"))
    by_dns = by_name(files(service("users")).clusters)["users.shop:50051"]
    about = {"name", "type", "eds_cluster_config", "cluster_type", "load_assignment"}

    assert whole["cluster_type"]["typed_config"]["clusters"] == ["users.shop:50051/pushed", "users.shop:50051/dns"]
    assert pushed["eds_cluster_config"]["service_name"] == "users.shop:50051"
    assert pushed["eds_cluster_config"]["eds_config"]["initial_fetch_timeout"] == "1s"
    assert {key: pushed[key] for key in pushed.keys() - about} == {key: by_dns[key] for key in by_dns.keys() - about}
    assert resolved["cluster_type"] == by_dns["cluster_type"]


def test_health_checks_are_made_where_the_service_asks_for_them() -> None:
    """By both ways, never for ports that only pass through; a pod that is gone is not asked on."""
    made = service("orders", port(8000, "grpc"), port(5432, "db"), annotations={names.HEALTH_CHECK: "grpc"})
    clusters = by_name(files(made, capture="enabled", discovery="xds").clusters)
    checked = {name for name, each in clusters.items() if "health_checks" in each}

    assert checked == {"orders.shop:8000/pushed", "orders.shop:8000/dns"}
    assert {clusters[name]["ignore_health_on_host_removal"] for name in checked} == {True}


def test_the_server_is_verified_and_told_who_asks() -> None:
    """By its name and the CAs of the Pod; by the Pod's token, read anew whenever the kubelet writes it."""
    found = files(USERS, discovery="xds")
    [cluster] = [each for each in found.bootstrap["static_resources"]["clusters"] if each["name"] == "evenkeel-xds"]
    tls = cluster["transport_socket"]["typed_config"]["common_tls_context"]["combined_validation_context"]
    injected = filters_of(cluster)[0]["typed_config"]["credential"]["typed_config"]
    [trust], [identity] = found.trust["resources"], found.identity["resources"]

    assert tls["default_validation_context"]["match_typed_subject_alt_names"] == [
        {"san_type": "DNS", "matcher": {"exact": "evenkeel-xds.evenkeel-system.svc"}}
    ]
    assert (tls["validation_context_sds_secret_config"]["name"], trust["name"]) == ("trust", "trust")
    assert trust["validation_context"]["trusted_ca"] == {"inline_string": "PEM"}
    assert (injected["header"], injected["credential"]["name"], identity["name"]) == (
        *("authorization", "identity", "identity"),
    )
    assert identity["generic_secret"]["secret"] == {"filename": "/etc/evenkeel/token"}
    watched = [tls["validation_context_sds_secret_config"], injected["credential"]]
    assert [each["sds_config"]["path_config_source"] for each in watched] == [
        {"path": f"/etc/evenkeel/{name}.yaml", "watched_directory": {"path": "/etc/evenkeel"}}
        for name in ("trust", "identity")
    ]


def filters_of(cluster: Any) -> Any:
    """Give the HTTP filters of a cluster."""
    [options] = cluster["typed_extension_protocol_options"].values()
    return options["http_filters"]


def test_a_pod_by_dns_knows_nothing_of_a_server() -> None:
    """Neither where it is nor whom to trust."""
    found = files(ORDERS, capture="enabled")

    assert (found.trust, found.identity) == (None, None)
    assert "ads_config" not in found.bootstrap["dynamic_resources"]


def test_a_service_that_must_not_be_spread_goes_by_its_own_address() -> None:
    """In a live Pod that captured it before: no endpoint is pushed for that port."""
    before = sidecar(USERS, capture="enabled", discovery="xds")
    spec = {"containers": [builders.container()], "hostAliases": [before.captures.captured[0].host_alias]}
    document = {"metadata": {"annotations": {names.DISCOVERY: "xds"}}, "spec": spec}
    now = sidecar({**USERS, "spec": {**USERS["spec"], "sessionAffinity": "ClientIP"}}, document=document)
    found = parsed({"metadata": {"annotations": now.annotations}})

    assert filters(by_name(found.listeners)["users.shop:50051"]["filter_chains"][0])["cluster"] == (
        "users.shop:50051/direct"
    )
    assert "cluster_type" in by_name(found.clusters)["users.shop:50051/direct"]
    assert "users.shop:50051/direct/pushed" not in by_name(found.clusters)


WORDS = st.fixed_dictionaries(
    {}, optional={names.CAPTURE: st.just("enabled"), names.DISCOVERY: st.sampled_from(["xds", "dns"])}
)


@given(strategies.pods(), st.lists(strategies.services(), max_size=6), WORDS)
@settings(max_examples=50)
def test_whatever_is_captured_everything_named_is_there(document: Any, objects: list[Any], words: Any) -> None:
    """Clusters of listeners and routes exist; aliases have listeners; every name asked of the DNS ends with a dot."""
    document["metadata"] = {"name": "front-0", "annotations": words}
    made = sidecar(*objects, document=document)
    found = parsed({"metadata": {"annotations": made.annotations}})
    clusters = by_name(found.clusters)
    named = set(re.findall(r"'cluster': '([^'%]+)'", str([found.listeners, found.routes, found.captures])))
    members = {
        each
        for cluster in clusters.values()
        for each in cluster.get("cluster_type", {}).get("typed_config", {}).get("clusters", ())
    }
    addresses = re.findall(r"'address': '([^']+)', 'port_value'", str(found.clusters))
    listening = {
        (each["address"]["socket_address"]["address"], each["address"]["socket_address"]["port_value"])
        for each in found.listeners["resources"]
    }

    assert named | members <= clusters.keys()
    assert [each for each in addresses if not each.endswith(".") and each != "127.0.0.1"] == []
    assert [
        (capture.service, each.port)
        for capture in made.captures.captured
        for each in capture.listens
        if (capture.address, each.port) not in listening
    ] == []
    assert all(LOOPBACK.fullmatch(capture.address) for capture in made.captures.captured)
    hosts = {host["name"] for host in found.captures["resources"][0]["virtual_hosts"]} if found.captures else {"gone"}
    assert hosts - {"gone"} == {
        listener_name(capture, each.port) for capture in made.captures.captured for each in capture.listens if each.grpc
    }
    assert envoys.parse(*found) >= 3


def test_what_all_captured_listeners_have_in_common_is_written_once() -> None:
    """Or a Pod could carry fewer of them: its annotations have a limit."""
    services = [service(f"orders-{number}", port(8000, "grpc")) for number in range(10)]

    text = sidecar(*services, capture="enabled").annotations[names.LISTENERS]

    assert text.count("%DOWNSTREAM_LOCAL_ADDRESS%") == 1


def test_a_pod_of_no_shape_is_still_told() -> None:
    """Aliases are read as everything else is."""
    with pytest.raises(NotAPod, match=r"spec.hostAliases\[0\]: found a text"):
        read_pod({"spec": {"containers": [{"name": "a"}], "hostAliases": ["x"]}}, "shop")
