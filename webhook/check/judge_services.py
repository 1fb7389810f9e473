"""Services of labelled namespaces that mean to be balanced and are not. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from webhook.check.model import Finding, ok, together, warning
from webhook.core import names
from webhook.core.annotations import ours
from webhook.core.catalog import Catalog
from webhook.core.model import DiscoveryMode, JsonObject, Service, ServiceRef, SidecarSettings
from webhook.core.services import says_grpc
from webhook.core.source import namespace_source

_GRPC_PROTOCOLS: Final = ("grpc", "kubernetes.io/h2c")
_USUAL_PORT: Final = 50051
"""Of gRPC's own examples, and so of many a Service."""


def judge_headless(
    services: Iterable[JsonObject], labelled: Collection[str], catalog: Catalog, settings: SidecarSettings
) -> Finding:
    """Judge whether Services that look like gRPC are headless: behind a cluster IP a connection stays with one pod.

    Where endpoints are pushed they need not be, if they say that they are gRPC.
    """
    troubles = [
        warning(
            f"Service {_ref(service)}: {why}, and it is not headless (clusterIP {_cluster_ip(service)}): "
            "a connection to it stays with one pod",
            remedy=(
                (
                    f"delete and create Service {_ref(service)} with clusterIP: None, or a second one beside it "
                    f"(a Service's clusterIP cannot be changed); {names.UPSTREAM}: disabled says that it is meant so"
                ),
                *_or_push(service, catalog, settings),
            ),
        )
        for service in _of(services, labelled)
        for why in _looks(service)
        if _cluster_ip(service) != "None" and not _meant(service) and not _has_headless_twin(service, catalog)
        if not (_pushed(service, catalog, settings) and _known(service, catalog).pushed)
    ]
    return together(troubles, ok())


def _known(service: JsonObject, catalog: Catalog) -> Service:
    ref = ServiceRef(_namespace(service), _name(service))
    return catalog.services.get(ref) or Service(ref, (), frozenset(), ())


def _pushed(service: JsonObject, catalog: Catalog, settings: SidecarSettings) -> bool:
    return namespace_source(catalog.namespace(_namespace(service)), settings)[0] is DiscoveryMode.XDS


def _or_push(service: JsonObject, catalog: Catalog, settings: SidecarSettings) -> Iterator[str]:
    """Say what would do without making it headless."""
    pushed, declared = _pushed(service, catalog, settings), bool(_known(service, catalog).pushed)
    if not pushed:
        yield f"or have endpoints pushed: kubectl annotate namespace {_namespace(service)} {names.DISCOVERY}=xds"
    if not declared and _spec(service).get("internalTrafficPolicy") != "Local":
        yield _declare(service)


def judge_declared(services: Iterable[JsonObject], labelled: Collection[str], catalog: Catalog) -> Finding:
    """Judge whether headless Services say that they are gRPC, so that nothing has to be guessed."""
    troubles = []
    for service in _of(services, labelled):
        known = catalog.services.get(ServiceRef(_namespace(service), _name(service)))
        if known is None or _cluster_ip(service) != "None" or _meant(service):
            continue
        ports = ", ".join(str(upstream.service_port) for upstream in known.upstreams if not upstream.declared)
        if ports:
            said = f"Service {_ref(service)}: port {ports} does not say what it carries, and is taken for gRPC"
            troubles.append(warning(said, remedy=_declare(service)))
        elif not known.upstreams:
            troubles += [
                warning(f"Service {_ref(service)}: {why}, yet none of its ports says gRPC", remedy=_declare(service))
                for why in _looks(service)
            ]
    return together(troubles, ok())


def judge_problems(services: Iterable[JsonObject], labelled: Collection[str], catalog: Catalog) -> Finding:
    """Judge what Services say wrong: it was left out when their upstreams were read."""
    meant = {
        f"Service {_ref(service)}"
        for service in services
        if _namespace(service) in labelled or ours(service["metadata"].get("annotations") or {})
    }
    troubles = [
        warning(str(problem), remedy=f"kubectl edit -n {_split(problem.where)[0]} service {_split(problem.where)[1]}")
        for problem in catalog.problems
        if problem.where in meant
    ]
    return together(troubles, ok())


def _split(where: str) -> tuple[str, str]:
    namespace, _, name = where.removeprefix("Service ").partition("/")
    return namespace, name


def _of(services: Iterable[JsonObject], labelled: Collection[str]) -> Iterator[JsonObject]:
    for service in services:
        if _namespace(service) in labelled and _spec(service).get("type") != "ExternalName":
            yield service


def _looks(service: JsonObject) -> Iterator[str]:
    """Say by what a Service looks like gRPC, by the first sign only."""
    for port in _spec(service).get("ports") or ():
        name, protocol, target = str(port.get("name") or ""), port.get("appProtocol"), port.get("targetPort")
        if port.get("protocol") not in (None, "TCP"):
            continue
        if protocol in _GRPC_PROTOCOLS:
            yield f"port {port.get('port')} has appProtocol {protocol}"
        elif says_grpc(name):
            yield f"port {port.get('port')} is named {name}"
        elif protocol is None and isinstance(target, str) and says_grpc(target):
            yield f"port {port.get('port')} has targetPort {target}"
        elif protocol is None and _USUAL_PORT in (port.get("port"), target):
            yield f"port {port.get('port')} has gRPC's usual number"
        else:
            continue
        return
    if any(key in _annotations(service) for key in (names.UPSTREAM, names.GRPC_SERVICES)):
        yield "its annotations are for gRPC"


def _meant(service: JsonObject) -> bool:
    return bool(_annotations(service).get(names.UPSTREAM) == names.DISABLED)


def _has_headless_twin(service: JsonObject, catalog: Catalog) -> bool:
    """Say whether another Service balances over the same pods: the usual pair of a cluster IP and a headless one."""
    selector = tuple(sorted((_spec(service).get("selector") or {}).items()))
    return any(one.upstreams and one.selector == selector for one in catalog.own(_namespace(service)))


def _declare(service: JsonObject) -> str:
    patch = '[{"op":"add","path":"/spec/ports/0/appProtocol","value":"grpc"}]'
    return (
        f"kubectl patch -n {_namespace(service)} service {_name(service)} --type json -p '{patch}' "
        f"where it is gRPC, else annotate it {names.UPSTREAM}=disabled"
    )


def _spec(service: JsonObject) -> Any:
    return service.get("spec") or {}


def _annotations(service: JsonObject) -> Any:
    return service["metadata"].get("annotations") or {}


def _cluster_ip(service: JsonObject) -> str:
    return str(_spec(service).get("clusterIP") or "none yet")


def _namespace(service: JsonObject) -> str:
    return str(service["metadata"].get("namespace"))


def _name(service: JsonObject) -> str:
    return str(service["metadata"]["name"])


def _ref(service: JsonObject) -> str:
    return f"{_namespace(service)}/{_name(service)}"
