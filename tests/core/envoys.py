"""Two judges of a configuration: the real Envoy, and Envoy's protobuf types."""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from webhook.core.envoy.static import as_static
from webhook.templates import dump

_MODULES = (
    "config.bootstrap.v3.bootstrap_pb2",
    "config.cluster.v3.cluster_pb2",
    "config.listener.v3.listener_pb2",
    "config.route.v3.route_pb2",
    "extensions.access_loggers.stream.v3.stream_pb2",
    "extensions.clusters.aggregate.v3.cluster_pb2",
    "extensions.clusters.dns.v3.dns_cluster_pb2",
    "extensions.clusters.dynamic_forward_proxy.v3.cluster_pb2",
    "extensions.filters.http.credential_injector.v3.credential_injector_pb2",
    "extensions.filters.http.dynamic_forward_proxy.v3.dynamic_forward_proxy_pb2",
    "extensions.filters.http.grpc_stats.v3.config_pb2",
    "extensions.filters.http.router.v3.router_pb2",
    "extensions.filters.http.upstream_codec.v3.upstream_codec_pb2",
    "extensions.filters.listener.http_inspector.v3.http_inspector_pb2",
    "extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2",
    "extensions.http.early_header_mutation.header_mutation.v3.header_mutation_pb2",
    "extensions.http.injected_credentials.generic.v3.generic_pb2",
    "extensions.network.dns_resolver.cares.v3.cares_dns_resolver_pb2",
    "extensions.resource_monitors.downstream_connections.v3.downstream_connections_pb2",
    "extensions.retry.host.previous_hosts.v3.previous_hosts_pb2",
    "extensions.transport_sockets.tls.v3.secret_pb2",
    "extensions.transport_sockets.tls.v3.tls_pb2",
    "extensions.upstreams.http.v3.http_protocol_options_pb2",
)


def envoy() -> Path:
    """Give the path of Envoy's program."""
    return Path(str(files("envoy"))) / "_bin" / "envoy"


def refusals(configurations: Sequence[Sequence[Any]], folder: Path) -> dict[int, str]:
    """Ask the real Envoy about each set of files; give what it says against those that it refuses."""
    texts = [dump(as_static(*each)) for each in configurations]
    distinct = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(distinct, pool.map(lambda item: _ask(*item, folder), distinct.items()), strict=True))
    return {number: answers[text] for number, text in enumerate(texts) if answers[text]}


def _ask(text: str, number: int, folder: Path) -> str:
    path = folder / f"{number}.yaml"
    path.write_text(text)
    command = [envoy(), "--mode", "validate", "--config-path", path, "--log-level", "error"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    path.unlink()
    return "" if ran.returncode == 0 else ran.stderr + ran.stdout


@cache
def _messages() -> dict[str, Any]:
    modules = {name: importlib.import_module(f"envoy.{name}") for name in _MODULES}
    return {
        "bootstrap": modules["config.bootstrap.v3.bootstrap_pb2"].Bootstrap,
        "Cluster": modules["config.cluster.v3.cluster_pb2"].Cluster,
        "Listener": modules["config.listener.v3.listener_pb2"].Listener,
        "RouteConfiguration": modules["config.route.v3.route_pb2"].RouteConfiguration,
        "Secret": modules["extensions.transport_sockets.tls.v3.secret_pb2"].Secret,
    }


def parse(bootstrap: Any, *files: Any) -> int:
    """Read a sidecar's files as the protobuf types do, which know no unknown field; give how many resources there were.

    Raises json_format.ParseError where a type does not accept what is there.
    """
    json_format.ParseDict(bootstrap, _messages()["bootstrap"]())
    resources = [resource for file in files if file for resource in file["resources"]]
    for resource in resources:
        kind = resource["@type"].rpartition(".")[2]
        without = {key: value for key, value in resource.items() if key != "@type"}
        json_format.ParseDict(without, _messages()[kind]())
    return len(resources)
