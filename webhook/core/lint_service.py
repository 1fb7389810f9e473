"""What its author should hear about a Service the moment it is applied; and why a Service is no upstream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from webhook.core import names
from webhook.core.annotations import label_warnings, nearest, shown
from webhook.core.catalog import Catalog
from webhook.core.dialled import why_unfit
from webhook.core.model import DiscoveryMode, JsonObject, Problem, Service, SidecarSettings
from webhook.core.named_ports import NamedPorts
from webhook.core.pod import is_port
from webhook.core.service_annotations import ServiceWords, read_service_annotations
from webhook.core.services import read_service, says_grpc
from webhook.core.source import namespace_source

_UNRESOLVED: Final = "target-port-unknown"
_DECLARING: Final = ("grpc", "kubernetes.io/h2c")
_NEARLY: Final = ("h2c", "http2", "http/2")
"""Values of appProtocol that mean what we look for, and are not what Kubernetes calls it."""
_OTHERS: Final = (
    *("admin", "amqp", "dns", "grpc-web", "http", "https", "kafka", "ldap", "metrics", "mongo", "mqtt", "mysql"),
    *("nats", "postgres", "postgresql", "prometheus", "redis", "ssh", "tcp", "tls", "udp", "ws", "wss"),
)
"""Port names, also before a `-`, that say another protocol: whoever writes them does not mean gRPC."""
_OR_PUSH: Final = f"set annotation {names.DISCOVERY}={DiscoveryMode.XDS} on the Namespace"
_MANY_PORTS: Final = 100
_EVERY_CLUSTER: Final = "kube-system"


def lint_service(document: JsonObject, catalog: Catalog, namespace: str, settings: SidecarSettings) -> Iterator[str]:
    """Give what is wrong, ignored or ambiguous about a Service, judged as if it were in the catalog already.

    Where endpoints are pushed to the Pods of its namespace it need not be headless.
    """
    service, problems = read_service(document, _resolving(document, namespace), default_namespace=namespace)
    yield from (problem.message for problem in problems)
    labels = _texts(document.get("metadata"), "labels")
    yield from label_warnings(labels, (), known_annotations=names.ANNOTATIONS_ON_SERVICES)
    spec = document.get("spec")
    if service is None or not isinstance(spec, dict):
        return
    said = _texts(document.get("metadata"), "annotations")
    words = read_service_annotations(said, "")
    yield from _unresolved(spec, service, catalog.problems)
    mode, _ = namespace_source(catalog.namespace(namespace), settings)
    pushed = mode is DiscoveryMode.XDS and bool(service.pushed)
    if pushed:
        service = replace(service, upstreams=service.pushed)
    elif spec.get("clusterIP") != "None":
        yield from _not_headless(spec, service, words, catalog)
    elif words.upstream is None:
        yield from _not_declared(spec, service)
    yield from _without_effect(said, service, words)
    yield from _not_captured(service, words, settings)
    yield from _ambiguous(service, catalog)
    yield from _nobody_there(service, catalog)
    if len(service.upstreams) > _MANY_PORTS:
        yield (
            f"{len(service.upstreams)} of its ports are upstreams, more than fit beside others into a pod's "
            f"annotations; choose with annotation {names.UPSTREAM}"
        )


def why_no_upstream(document: JsonObject, where: str, problems: Iterable[Problem]) -> str:
    """Say why none of a Service's ports is an upstream, also where that is intended.

    `problems` are the catalog's, and `where` names the Service in them.
    """
    spec = document.get("spec")
    if not isinstance(spec, dict):
        return "it has no spec"
    if spec.get("type") == "ExternalName":
        return "it is an ExternalName"
    if spec.get("clusterIP") != "None":
        return "it is not headless (clusterIP: None)"
    if _texts(document.get("metadata"), "annotations").get(names.UPSTREAM) == names.DISABLED:
        return f"annotation {names.UPSTREAM}={names.DISABLED} says so"
    told = [problem.message for problem in problems if problem.where == where and problem.code == _UNRESOLVED]
    found = [str(port.get("name") or port["port"]) for port in _tcp(spec)]
    silent = f"neither name nor appProtocol of a port says gRPC: found {', '.join(found) or 'no TCP port'}"
    return "; ".join(told) or silent


def _resolving(document: JsonObject, namespace: str) -> NamedPorts:
    """Make what resolves every named target port: whether pods have one is not for the Service to say."""
    metadata, spec = document.get("metadata"), document.get("spec")
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        return NamedPorts(())
    ports = [{"name": port.get("name"), "port": port["port"]} for port in _tcp(spec)]
    labels = {names.SLICE_SERVICE: metadata.get("name")}
    known = {"namespace": metadata.get("namespace") or namespace, "labels": labels}
    return NamedPorts([{"kind": "EndpointSlice", "metadata": known, "ports": ports}])


def _unresolved(spec: JsonObject, service: Service, problems: Iterable[Problem]) -> Iterator[str]:
    """Repeat what the catalog says of named target ports; of a Service that is new it says nothing yet."""
    where = f"Service {service.ref.namespace}/{service.ref.name}"
    named = [port for port in _tcp(spec) if isinstance(port.get("targetPort"), str)]
    for problem in problems:
        if problem.where == where and problem.code == _UNRESOLVED:
            for port in named:
                start = f"port {port.get('name') or port['port']} is no upstream"
                if problem.message.startswith(start) and shown(port["targetPort"]) in problem.message:
                    yield f"{problem.message}; give a container port that name, or write the number"


def _not_captured(service: Service, words: ServiceWords, settings: SidecarSettings) -> Iterator[str]:
    if words.capture and (service.upstreams or service.pushed):
        why = why_unfit(service, settings) if service.upstreams else service.unfit or f"it is not headless; {_OR_PUSH}"
        if why:
            yield f"annotation {names.CAPTURE}={names.ENABLED} has no effect: {why}"


def _not_headless(spec: JsonObject, service: Service, words: ServiceWords, catalog: Catalog) -> Iterator[str]:
    if words.upstream and service.pushed:
        yield (
            f"annotation {names.UPSTREAM} has no effect while endpoints come by DNS: the Service is not headless; "
            f"make it anew with clusterIP: None, or {_OR_PUSH}"
        )
    looks = [port for port in _tcp(spec) if _declared(port)]
    reached_from_outside = spec.get("type") not in (None, "ClusterIP")
    # One Service for a stable address beside a headless one for balancing is how it is meant to be.
    twin = service.selector and any(
        other.upstreams and other.selector == service.selector and other.ref != service.ref
        for other in catalog.own(service.ref.namespace)
    )
    push = f"{_OR_PUSH}, or " if service.pushed else ""
    if looks and not reached_from_outside and not twin and words.upstream is None:
        yield (
            f"port {_called(looks[0])} looks like gRPC, but the Service is not headless: a client's calls all go to "
            f"one pod; make it anew with clusterIP: None, or {push}set annotation {names.UPSTREAM}=disabled"
        )


def _not_declared(spec: JsonObject, service: Service) -> Iterator[str]:
    choice = " to the ports that are gRPC" if service.upstreams else "=disabled if it speaks something else"
    for port in _tcp(spec):
        found = _nearly_grpc(port) or ("" if service.upstreams else _unsaid(port))
        if found:
            yield (
                f"port {_called(port)} is no upstream: {found}; set appProtocol: grpc, or set annotation "
                f"{names.UPSTREAM}{choice}"
            )


def _nearly_grpc(port: JsonObject) -> str:
    name, protocol = str(port.get("name") or ""), str(port.get("appProtocol") or "").lower()
    if _declared(port) or "web" in name or "web" in protocol:
        return ""
    if "grpc" in protocol or protocol in _NEARLY:
        return f"appProtocol {shown(str(port['appProtocol']))} is none of {', '.join(_DECLARING)}"
    return "its name does not begin with grpc-" if "grpc" in name else ""


def _unsaid(port: JsonObject) -> str:
    name = str(port.get("name") or "")
    if _declared(port) or not name or port.get("appProtocol") or _says_other(name):
        return ""
    return "neither its name nor an appProtocol says gRPC"


def _without_effect(said: Mapping[str, str], service: Service, words: ServiceWords) -> Iterator[str]:
    # A Service that could be pushed has been told so.
    if service.upstreams or service.pushed or words.upstream is False:
        return
    for key in (names.EXPORT_TO, names.LB_POLICY, names.MAX_TIMEOUT, names.RETRY, names.HEALTH_CHECK, names.CAPTURE):
        if key in said:
            yield f"annotation {key} has no effect: the Service has no upstream"


def _ambiguous(service: Service, catalog: Catalog) -> Iterator[str]:
    """Name the Services that claim a path of this one for the same pods."""
    paths = set(service.grpc_services)
    others = [other for other in catalog.services.values() if paths and not paths.isdisjoint(other.grpc_services)]
    for other in sorted(others, key=lambda other: other.ref):
        if other.ref != service.ref and _meet(service, other):
            both = ", ".join(sorted(paths.intersection(other.grpc_services)))
            yield (
                f"annotation {names.GRPC_SERVICES}: {other.ref} claims {both} too; calls of that to localhost are "
                "answered UNAVAILABLE until only one does"
            )


def _meet(one: Service, other: Service) -> bool:
    """Say whether some pods see both with the same right: own Services go before exported ones."""
    if one.ref.namespace == other.ref.namespace:
        return True
    if "*" in one.export_to:
        common = other.export_to
    else:
        common = one.export_to if "*" in other.export_to else one.export_to & other.export_to
    return bool(common - {one.ref.namespace, other.ref.namespace})


def _nobody_there(service: Service, catalog: Catalog) -> Iterator[str]:
    if _EVERY_CLUSTER not in catalog.namespaces:
        return  # files name some Namespaces; only a cluster's catalog knows all of them
    for name in sorted(service.export_to - {"*"} - catalog.namespaces.keys()):
        close = nearest(name, catalog.namespaces)
        yield f"annotation {names.EXPORT_TO}: there is no namespace {shown(name)} (yet){close}"


def _tcp(spec: JsonObject) -> list[dict[str, Any]]:
    ports = spec.get("ports")
    return [
        port
        for port in (ports if isinstance(ports, list) else ())
        if isinstance(port, dict) and is_port(port.get("port")) and port.get("protocol") in (None, "TCP")
    ]


def _declared(port: JsonObject) -> bool:
    return port.get("appProtocol") in _DECLARING or says_grpc(str(port.get("name") or ""))


def _says_other(name: str) -> bool:
    return name in _OTHERS or any(name.startswith(f"{other}-") or name.endswith(f"-{other}") for other in _OTHERS)


def _called(port: JsonObject) -> str:
    return shown(str(port.get("name") or port["port"]))


def _texts(holder: Any, key: str) -> Mapping[str, str]:
    values = holder.get(key) if isinstance(holder, dict) else None
    return {key: text for key, text in values.items() if isinstance(text, str)} if isinstance(values, dict) else {}
