"""Everything there is to say of one workload and its sidecar, as plain values: what `explain` prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from webhook.cli.captured_names import Sight, captured, discovery, look
from webhook.cli.carried import carried, carries_ours, should_carry
from webhook.core import names
from webhook.core.annotations import read_pod_annotations
from webhook.core.catalog import Catalog
from webhook.core.decide import carries_sidecar
from webhook.core.errors import NotAPod, PodRejected
from webhook.core.ingress import ingress
from webhook.core.inject import Injector
from webhook.core.lint import lint
from webhook.core.lint_service import why_no_upstream
from webhook.core.model import DiscoveryMode, JsonObject, Namespace, Overrides, Service, SidecarSettings, Upstream
from webhook.core.outcome import SkipReason
from webhook.core.pod import Pod, read_pod
from webhook.core.view import Ambiguous, Unknown, View, default_target

_LOCALHOST = ("localhost", "127.0.0.1")
_PROXYLESS = f"annotation {names.MODE}=proxyless: its gRPC libraries ask evenkeel xds themselves"


class Engine(NamedTuple):
    """What judges: the injector, and the settings that it was made with."""

    injector: Injector
    settings: SidecarSettings


@dataclass(frozen=True, slots=True)
class Subject:
    """A workload and what surrounds it."""

    kind: str
    name: str
    namespace: Namespace
    known: bool
    """Whether the Namespace was found; else it counts as labelled."""
    document: JsonObject
    pod: Pod
    catalog: Catalog
    services: Sequence[JsonObject]
    """The Services of its namespace as they are written."""
    pods: Sequence[JsonObject] | None = None
    """Its live pods; None where the cluster was not asked."""
    notes: tuple[str, ...] = ()


def explain(subject: Subject, engine: Engine) -> dict[str, Any]:
    """Give the explanation; its keys are stable."""
    found = _verdict(subject, engine)
    pod, catalog, injector = subject.pod, subject.catalog, engine.injector
    overrides = Overrides()
    if found["answer"] != "refused":
        overrides = read_pod_annotations(pod.labels, pod.annotations).overrides
    kept = found.pop("upstreams")
    decided = found.pop("captures")
    goes = found["answer"] in ("injected", "already-injected")
    live = subject.pods
    sight = look(pod, overrides, catalog, engine.settings, live=found["answer"] == "already-injected")
    port, unclear = ingress(pod, overrides, catalog, engine.settings) if goes else (None, ())
    return {
        "kind": subject.kind,
        "namespace": subject.namespace.name,
        "name": subject.name,
        **found,
        "discovery": discovery(sight.source) if goes else None,
        "routes": _routes(subject, overrides, kept, sight.view, engine.settings) if goes else None,
        "captures": captured(decided, pod, catalog, sight, injector) if goes else None,
        "leftOut": _left_out(subject, overrides, kept, sight) if goes else [],
        "ingress": {"port": port, "why": _why_ingress(overrides, port, unclear, engine.settings)} if goes else None,
        "warnings": _warnings(subject, injector, found["problems"]),
        "carries": carried(pod, catalog, injector, subject.namespace) if carries_ours(pod) else None,
        "pods": None if live is None else [_live(each, subject, injector) for each in live],
        "notes": list(subject.notes),
    }


def _live(document: JsonObject, subject: Subject, injector: Injector) -> dict[str, Any]:
    pod = read_pod(document, subject.namespace.name)
    return carried(pod, subject.catalog, injector, subject.namespace)


def _verdict(subject: Subject, engine: Engine) -> dict[str, Any]:
    found: dict[str, Any] = {"answer": "injected", "code": "selected", "why": _rule(subject), "problems": []}
    found |= {"upstreams": (), "captures": None}
    try:
        outcome = engine.injector.admit(subject.pod, subject.catalog, subject.namespace)
    except PodRejected as rejection:
        return found | {
            "answer": "refused",
            "code": "bad-value",
            "why": f"the API server would refuse its pods: {rejection.problems[0]}",
            "problems": list(rejection.problems),
        }
    skip = outcome.skip
    if outcome.sidecar is not None:
        return found | {"upstreams": outcome.sidecar.upstreams, "captures": outcome.sidecar.captures}
    if skip is None:
        return found | {"answer": "proxyless", "code": "proxyless", "why": _PROXYLESS}
    if skip.reason is SkipReason.ALREADY_INJECTED and not carries_sidecar(subject.pod):
        return found | {"answer": "proxyless", "code": skip.reason, "why": f"{_PROXYLESS}; {skip.detail}"}
    if skip.reason is SkipReason.ALREADY_INJECTED:
        should = should_carry(subject.pod, subject.catalog, engine.injector)["upstreams"]
        return found | {"answer": "already-injected", "code": skip.reason, "why": skip.detail, "upstreams": should}
    return found | {"answer": "skipped", "code": skip.reason, "why": skip.detail}


def _rule(subject: Subject) -> str:
    namespace = subject.namespace
    label = f"label {names.INJECT}={names.ENABLED}"
    if not subject.known:
        return f"as if namespace {namespace.name} had {label}: it is not known here"
    if namespace.labels.get(names.INJECT) == names.ENABLED:
        return f"namespace {namespace.name} has {label}"
    return f"the pod has {label}"


def _routes(
    subject: Subject, overrides: Overrides, kept: Iterable[str], view: View, settings: SidecarSettings
) -> dict[str, Any]:
    clusters = frozenset(kept)
    shown = [one for one in view.services if any(up.cluster in clusters for up in one.upstreams)]
    return {
        "listener": f"127.0.0.1:{settings.ports.egress}",
        "authorities": [_authority(one, view, settings) for one in shown],
        "paths": [
            {"grpcService": path, **_target(target)}
            for path, target in view.by_path.items()
            if isinstance(target, Ambiguous) or target.cluster in clusters
        ],
        "localhost": _localhost(subject.pod, overrides, view, clusters),
    }


def _authority(service: Service, view: View, settings: SidecarSettings) -> dict[str, Any]:
    full = f"{service.ref}.svc.{settings.cluster_domain}"
    bare = [service.ref.name] if service.ref.namespace == view.namespace and service.ref.name not in _LOCALHOST else []
    policy = service.upstreams[0].policy
    return {
        "service": str(service.ref),
        "names": [*bare, str(service.ref), f"{service.ref}.svc", full],
        "ports": [
            {
                "port": upstream.service_port,
                "dials": upstream.port,
                "name": upstream.port_name,
                "declared": upstream.declared,
                "upstream": upstream.cluster,
            }
            for upstream in service.upstreams
        ],
        "lbPolicy": policy.lb_policy.value,
        "retry": policy.retry.value,
        "maxTimeout": policy.max_timeout,
        "exported": service.ref.namespace != view.namespace,
    }


def _target(target: Upstream | Ambiguous) -> dict[str, Any]:
    if isinstance(target, Ambiguous):
        return {"upstream": None, "claimants": list(target.claimants)}
    return {"upstream": target.cluster, "claimants": []}


def _localhost(pod: Pod, overrides: Overrides, view: View, clusters: frozenset[str]) -> dict[str, Any]:
    target = default_target(view, pod.labels, overrides.default_upstream)
    if isinstance(target, Unknown):
        why = f"annotation {names.DEFAULT_UPSTREAM} names {target.reference}, which is no upstream (yet)"
        return {"upstream": None, "claimants": [], "why": why}
    if isinstance(target, Ambiguous):
        why = f"several are possible; set annotation {names.DEFAULT_UPSTREAM} or call one by its name"
        return {**_target(target), "why": why}
    if target is None or target.cluster not in clusters:
        return {"upstream": None, "claimants": [], "why": "no upstream is left that it could mean"}
    if overrides.default_upstream is not None:
        return {**_target(target), "why": f"annotation {names.DEFAULT_UPSTREAM} says so"}
    whose = "the namespace" if target.service.namespace == view.namespace else "those exported to the namespace"
    said = "that is declared gRPC" if target.declared else "whose port says nothing else"
    return {**_target(target), "why": f"it is the only Service of {whose} {said} and is not the pod's own"}


def _left_out(subject: Subject, overrides: Overrides, kept: Iterable[str], sight: Sight) -> list[dict[str, str]]:
    """Give the Services of the namespace, and those exported to it, that are none of the upstreams, with the reason."""
    catalog, place = subject.catalog, subject.namespace.name
    written = {str(each["metadata"].get("name")): each for each in subject.services}
    clusters = frozenset(kept)
    found = []
    pushed = sight.source.mode is DiscoveryMode.XDS
    for service in (*catalog.own(place), *catalog.exported(place)):
        offered = service.pushed if pushed and service.pushed else service.upstreams
        if any(upstream.cluster in clusters for upstream in offered):
            continue
        if service.pushed and not pushed:
            why = f"it is not headless; with {names.DISCOVERY}: {DiscoveryMode.XDS} it takes part"
        elif not offered:
            where = f"Service {service.ref.namespace}/{service.ref.name}"
            if service.ref.namespace != place:
                continue
            document = written.get(service.ref.name)
            why = why_no_upstream(document, where, catalog.problems) if document else "none of its ports is one"
        elif overrides.upstreams is not None:
            why = f"annotation {names.UPSTREAMS} of the pod does not name it"
        else:
            why = "the annotations of a pod have no room for it"
        found.append({"service": str(service.ref), "why": why})
    return found


def _why_ingress(overrides: Overrides, port: int | None, unclear: Sequence[str], settings: SidecarSettings) -> str:
    if unclear:
        return unclear[0]
    if port is None:
        return f"no Service that selects the pod targets port {settings.ports.ingress}, and {names.APP_PORT} is not set"
    if overrides.app_port is not None:
        return f"annotation {names.APP_PORT} says so"
    return f"a Service that selects the pod targets port {settings.ports.ingress}; this is the pod's only TCP port"


def _warnings(subject: Subject, injector: Injector, problems: Sequence[str]) -> list[str]:
    try:
        own = lint(subject.document, subject.catalog, injector, subject.namespace)
    except NotAPod as error:
        own = (str(error),)
    start = f"Service {subject.namespace.name}/"
    services = (str(problem) for problem in subject.catalog.problems if problem.where.startswith(start))
    return [*(each for each in own if not any(map(each.endswith, problems))), *services]
