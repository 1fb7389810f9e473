"""An injected Pod and its configuration in the few lines that differ from case to case.

What is the same everywhere stands once, verbatim, in the case `everything-rendered-in-full`; that all others are
like it but for what stands here is a test of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import yaml

from webhook.core import names
from webhook.templates import load_templates

_MANY = 30
_CALLED = "%': "


class Files(NamedTuple):
    """What a Pod's sidecar reads; None where a Pod has no such file."""

    bootstrap: Any
    clusters: Any
    routes: Any
    listeners: Any
    captures: Any = None
    trust: Any = None
    identity: Any = None


def parsed(pod: Any) -> Files:
    """Give the files of a Pod's sidecar."""
    annotations = pod["metadata"]["annotations"]
    return Files(*(yaml.load(annotations.get(key, ""), Loader=yaml.CSafeLoader) for key in names.FILES))


def pod(document: Any) -> Any:
    """Give an injected Pod with the configuration, the volume and the usual of the sidecar left out."""
    short = copy.deepcopy(document)
    for key in names.WRITTEN:
        if key in short["metadata"]["annotations"]:
            short["metadata"]["annotations"][key] = "<in expected.config.yaml>"
    spec = short["spec"]
    spec["initContainers"] = [
        sidecar(each) if each["name"] == names.SIDECAR else each for each in spec["initContainers"]
    ]
    spec["volumes"] = [volume(each) if each["name"] == names.VOLUME else each for each in spec["volumes"]]
    return short


def volume(found: Any) -> dict[str, Any]:
    """Give what of our volume differs from Pod to Pod: files beside the usual ones, and the token."""
    sources = found["projected"]["sources"] if "projected" in found else [found]
    usual = {names.FILES[key] for key in names.CONFIGURATION}
    files = [item["path"] for source in sources for item in source.get("downwardAPI", {}).get("items", ())]
    tokens = [source["serviceAccountToken"] for source in sources if "serviceAccountToken" in source]
    also = [file for file in files if file not in usual]
    return {"name": found["name"], **({"files": also} if also else {}), **({"tokens": tokens} if tokens else {})}


def rest_of_volume(found: Any) -> Any:
    """Give what of our volume does not differ from Pod to Pod."""
    sources = found["projected"]["sources"] if "projected" in found else [found]
    usual = {names.FILES[key] for key in names.CONFIGURATION}
    items = [item for source in sources for item in source.get("downwardAPI", {}).get("items", ())]
    fields = {item["path"]: item["fieldRef"] for item in items if item["path"] in usual}
    return {"name": found["name"], "mode": (found.get("projected") or found["downwardAPI"])["defaultMode"], **fields}


def sidecar(container: Any) -> dict[str, Any]:
    """Give what of the sidecar's container differs from Pod to Pod."""
    args = container["args"]
    varying = {
        "name": container["name"],
        "image": container["image"],
        "concurrency": args[args.index("--concurrency") + 1],
        "log level": args[args.index("--log-level") + 1],
        "probe port": container["startupProbe"]["httpGet"]["port"],
        "resources": container.get("resources", "none"),
        "run as": container["securityContext"].get("runAsUser", "whom the Pod or the namespace says"),
        "lifecycle": container.get("lifecycle"),
    }
    return {key: value for key, value in varying.items() if value is not None}


def rest_of_sidecar(container: Any) -> Any:
    """Give what of the sidecar's container does not differ from Pod to Pod."""
    rest = copy.deepcopy(container)
    for key in ("resources", "lifecycle"):
        rest.pop(key, None)
    rest["securityContext"].pop("runAsUser", None)
    rest["image"] = rest["ports"][0]["containerPort"] = rest["startupProbe"]["httpGet"]["port"] = None
    for word in ("--concurrency", "--log-level"):
        rest["args"][rest["args"].index(word) + 1] = None
    return rest


def configuration(document: Any) -> dict[str, Any]:
    """Give what the sidecar does: listeners, clusters, and for each host its routes, a line each."""
    files = parsed(document)
    hosts = {host["name"]: _host(host) for host in files.routes["resources"][0]["virtual_hosts"]}
    known = {each["name"]: _cluster(each) for each in files.clusters["resources"]}
    found = {
        "admin": _address(files.bootstrap["admin"]),
        "probe": _address(files.bootstrap["static_resources"]["listeners"][0]),
        "listeners": {each["name"]: _listener(each) for each in files.listeners["resources"]},
        "clusters": _few(known),
        "hosts": _few(hosts),
    }
    if files.captures:
        captured = files.captures["resources"][0]["virtual_hosts"]
        found["captured"] = _few({host["name"]: list(map(_route, host["routes"])) for host in captured})
    if "ads_config" in files.bootstrap["dynamic_resources"]:
        found["control plane"] = _control_plane(files)
    return found


def _control_plane(files: Files) -> dict[str, Any]:
    """Give where endpoints are asked for, whom that is believed, and by what the sidecar says who it is."""
    [cluster] = [each for each in files.bootstrap["static_resources"]["clusters"] if "transport_socket" in each]
    return {
        "asked": _cluster(cluster),
        "called": cluster["transport_socket"]["typed_config"]["sni"],
        "trusted": files.trust["resources"][0]["validation_context"]["trusted_ca"]["inline_string"],
        "token": files.identity["resources"][0]["generic_secret"]["secret"]["filename"],
    }


def _few(found: dict[str, Any]) -> dict[str, Any]:
    if len(found) <= _MANY:
        return found
    shown = list(found)[:2] + list(found)[-3:]
    return {"in all": len(found), **{name: found[name] for name in shown}}


def _address(holder: Any) -> str:
    address = holder["address"]["socket_address"]
    host = f"[{address['address']}]" if ":" in address["address"] else address["address"]
    return f"{host}:{address['port_value']}{' and IPv4' if address.get('ipv4_compat') else ''}"


def _listener(listener: Any) -> str:
    also = [_address(each) for each in listener.get("additional_addresses", [])]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    log = ", logged" if manager.get("access_log") else ""
    return " and ".join([_address(listener), *also]) + log + _passing(listener)


def _passing(listener: Any) -> str:
    """Say where connections go that are no HTTP/2."""
    if "default_filter_chain" in listener:
        [proxy] = listener["default_filter_chain"]["filters"]
        return f"; what is no HTTP/2 to {proxy['typed_config']['cluster']}"
    last = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return f" to {last['cluster']}" if "TcpProxy" in last["@type"] else ""


def _cluster(cluster: Any) -> str:
    checked = ", asked for its health" if "health_checks" in cluster else ""
    checked += ", counted by endpoint" if cluster.get("track_cluster_stats", {}).get("per_endpoint_stats") else ""
    if cluster.get("type") == "EDS":
        return f"pushed for {cluster['eds_cluster_config']['service_name']} {cluster['lb_policy'].lower()}{checked}"
    if cluster.get("cluster_type", {}).get("name") == "envoy.clusters.aggregate":
        return "first of " + ", ".join(cluster["cluster_type"]["typed_config"]["clusters"])
    if "load_assignment" not in cluster:
        return "any name that is called"
    address = _address(cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"])
    if "cluster_type" not in cluster:
        return address
    refresh = cluster["cluster_type"]["typed_config"]["dns_refresh_rate"]
    return f"{address} {cluster['lb_policy'].lower()}, looked up each {refresh}{checked}"


def _host(host: Any) -> dict[str, Any]:
    return {"domains": host["domains"], "routes": list(map(_route, host["routes"]))}


def _route(route: Any) -> str:
    return f"{_match(route['match'])} -> {_action(route)}"


def _match(match: Any) -> str:
    headers = [_header(each) for each in match.get("headers", [])]
    return " ".join([match["prefix"], *headers])


def _header(header: Any) -> str:
    text = header["string_match"]
    wanted = f"ends with {text['suffix']}" if "suffix" in text else f"like {text['safe_regex']['regex']}"
    return f"{header['name']} {'not ' if header.get('invert_match') else ''}{wanted}"


def _action(route: Any) -> str:
    if "direct_response" in route:
        answer = route["direct_response"]
        message = answer["body_format"]["text_format_source"]["inline_string"]
        return f"{answer['status']} {message.rpartition(_CALLED)[2]}"
    action = route["route"]
    assert action["timeout"] == "0s"
    longest = action.get("max_stream_duration", {}).get("max_stream_duration")
    return " ".join([action["cluster"], *_retry(action), *([f"at most {longest}"] if longest else [])])


def _retry(action: Any) -> Iterator[str]:
    policy = action.get("retry_policy")
    yield f"retry {next(name for name, each in _retries().items() if each == policy)}" if policy else "retry off"


@cache
def _retries() -> Any:
    return load_templates(None).retries.fill()
