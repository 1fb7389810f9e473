"""An injected Pod and its configuration in the few lines that differ from case to case.

What is the same everywhere stands once, verbatim, in the case `everything-rendered-in-full`; that all others are
like it but for what stands here is a test of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml

from webhook.core import names
from webhook.templates import load_templates

_MANY = 30
_CALLED = "%': "


def parsed(pod: Any) -> tuple[Any, Any, Any, Any]:
    """Give the four files of a Pod's sidecar: bootstrap, clusters, routes, listeners."""
    annotations = pod["metadata"]["annotations"]
    texts = [annotations[key] for key in names.CONFIGURATION]
    bootstrap, clusters, routes, listeners = (yaml.load(text, Loader=yaml.CSafeLoader) for text in texts)
    return bootstrap, clusters, routes, listeners


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
    spec["volumes"] = [{"name": each["name"]} if each["name"] == names.VOLUME else each for each in spec["volumes"]]
    return short


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
    bootstrap, clusters, routes, listeners = parsed(document)
    hosts = {host["name"]: _host(host) for host in routes["resources"][0]["virtual_hosts"]}
    known = {each["name"]: _cluster(each) for each in clusters["resources"]}
    return {
        "admin": _address(bootstrap["admin"]),
        "probe": _address(bootstrap["static_resources"]["listeners"][0]),
        "listeners": {each["name"]: _listener(each) for each in listeners["resources"]},
        "clusters": _few(known),
        "hosts": _few(hosts),
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
    return " and ".join([_address(listener), *also]) + log


def _cluster(cluster: Any) -> str:
    if "load_assignment" not in cluster:
        return "any name that is called"
    address = _address(cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"])
    if "cluster_type" not in cluster:
        return address
    refresh = cluster["cluster_type"]["typed_config"]["dns_refresh_rate"]
    return f"{address} {cluster['lb_policy'].lower()}, looked up each {refresh}"


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
