"""What the authors of workloads wrote: refused, ignored or misspelt. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from webhook.check.model import Finding, failed, ok, together, warning
from webhook.core import names
from webhook.core.advice import http_proxy_warnings
from webhook.core.annotations import read_pod_annotations
from webhook.core.catalog import Catalog
from webhook.core.errors import NotAPod, PodRejected
from webhook.core.inject import Injector
from webhook.core.model import JsonObject
from webhook.core.outcome import SkipReason
from webhook.core.pod import Pod, read_pod
from webhook.core.workloads import Template, pod_template

_FROM_A_WORKLOAD: Final = ("ReplicaSet", "StatefulSet", "DaemonSet", "Job")
"""Pods of these say what the workload's template says, which is told once."""
_NO_WONDER: Final = (SkipReason.HOST_NETWORK, SkipReason.WINDOWS)
"""Agents of nodes stand in many a namespace; nobody expects a sidecar there."""


def authored(workloads: Iterable[JsonObject], pods: Iterable[JsonObject]) -> Iterator[JsonObject]:
    """Give everything that was written by an author: workloads and Pods that no other of these made."""
    for one in workloads:
        if not (one.get("kind") == "Job" and _controller(one)):
            yield one
    for one in pods:
        if _controller(one) not in _FROM_A_WORKLOAD:
            yield one


def _controller(one: JsonObject) -> str:
    owners = one["metadata"].get("ownerReferences") or ()
    return next((str(owner.get("kind")) for owner in owners if owner.get("controller")), "")


def judge_words(objects: Iterable[JsonObject], injector: Injector, catalog: Catalog) -> Finding:
    """Judge what each pod template says to us: a bad value refuses its Pods, a typo is ignored."""
    troubles: list[Finding] = []
    for one in objects:
        try:
            template = pod_template(one)
            if template is not None:
                pod = read_pod(template.document, template.namespace or "default")
                troubles += _judge(template, pod, injector, catalog)
        except NotAPod:
            continue  # the API server checked its shape; what it allows beyond, no rule of ours reads
    return together(troubles, ok())


def _judge(template: Template, pod: Pod, injector: Injector, catalog: Catalog) -> Iterator[Finding]:
    where = f"{template.kind} {pod.namespace}/{template.name}"
    edit = f"kubectl edit -n {pod.namespace} {template.kind.lower()} {template.name}"
    reading = read_pod_annotations(pod.labels, pod.annotations)
    problems, warnings = list(reading.problems), list(reading.warnings)
    try:
        outcome = injector.admit(pod, catalog, catalog.namespace(pod.namespace))
    except PodRejected as error:
        problems = list(error.problems)
    else:
        if outcome.skip is None or outcome.skip.reason not in _NO_WONDER:
            warnings += outcome.warnings
    for problem in problems:
        yield failed(f"{where}: its Pods are refused: {problem}", remedy=edit)
    for said in dict.fromkeys(warnings):
        if said not in http_proxy_warnings(pod):
            yield warning(f"{where}: {said}", remedy=edit)


def judge_proxies(pods: Iterable[JsonObject]) -> Finding:
    """Judge whether an HTTP proxy would take the calls that are meant for the sidecar."""
    troubles: dict[str, Finding] = {}
    for one in pods:
        try:
            template = pod_template(one)
            pod = read_pod(template.document, template.namespace or "default") if template else None
        except NotAPod:
            continue
        if template is None or pod is None or pod.labels.get(names.INJECT) == names.DISABLED:
            continue
        for said in http_proxy_warnings(pod):
            where = f"{template.kind} {pod.namespace}/{template.name}"
            command = f"kubectl set env -n {pod.namespace} {template.kind.lower()}/{template.name}"
            remedy = f"{command} no_proxy=localhost,127.0.0.1 (with what stands there already)"
            troubles[f"{where}: {said}"] = warning(f"{where}: {said}", remedy=remedy)
    return together(troubles.values(), ok())
