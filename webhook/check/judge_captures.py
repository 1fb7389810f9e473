"""Names that go through sidecars, and endpoints that are pushed to them: asked for, and had or not. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from webhook.check.judge_control_plane import judge_deployment
from webhook.check.judge_pods import living
from webhook.check.model import Finding, ok, together, warning
from webhook.check.place import XDS
from webhook.core import names
from webhook.core.annotations import namespace_words, read_pod_annotations
from webhook.core.catalog import Catalog
from webhook.core.inject import Injector
from webhook.core.model import DiscoveryMode, JsonObject, Mode, Namespace, SidecarSettings
from webhook.core.outcome import Sidecar
from webhook.core.pod import Pod, read_pod
from webhook.core.proxyless import is_proxyless
from webhook.core.source import namespace_source
from webhook.core.volume import carries_token

_MOST: Final = 5
"""Services that are named for one namespace: more would hide the rest of the report."""


def judge_captures(labelled: Iterable[str], catalog: Catalog, injector: Injector) -> Finding:
    """Judge whether the names that were to be captured are, by a Pod of each namespace that serves nothing itself."""
    troubles, told = [], []
    for name in labelled:
        sidecar = _plain(name, catalog, injector)
        if sidecar is None:
            continue
        if sidecar.captures.left:
            some = "; ".join(f"{ref}: {why}" for ref, why in sidecar.captures.left[:_MOST])
            more = len(sidecar.captures.left) - _MOST
            said = f"namespace {name}: calls to these names are not captured: {some}"
            troubles.append(warning(said + (f"; and {more} more" if more > 0 else ""), remedy=_remedy(name)))
        elif sidecar.captures.captured:
            told.append(f"{name}: {len(sidecar.captures.captured)}")
    return together(troubles, ok(", ".join(told)) if told else ok())


def _plain(namespace: str, catalog: Catalog, injector: Injector) -> Sidecar | None:
    plain = read_pod({"metadata": {"name": "any"}, "spec": {"containers": [{"name": "app"}]}}, namespace)
    return injector.admit(plain, catalog, None).sidecar


def _remedy(namespace: str) -> tuple[str, ...]:
    return (
        f"what is not headless: kubectl annotate namespace {namespace} {names.DISCOVERY}={DiscoveryMode.XDS}",
        "a port below 1024: the setting sidecar.privileged_ports, if all container runtimes let anybody bind it",
        f"what is meant so: kubectl annotate -n {namespace} service NAME {names.CAPTURE}={names.DISABLED}",
    )


def judge_words(namespaces: Iterable[Namespace]) -> Finding:
    """Judge every annotation of ours on namespaces: a value that nobody knows counts as not said."""
    troubles = [
        warning(f"namespace {one.name}: {said}", remedy=f"kubectl edit namespace {one.name}")
        for one in namespaces
        for said in namespace_words(one.annotations)[1]
    ]
    return together(troubles, ok())


def judge_pushing(
    deployment: JsonObject | None, pods: Iterable[JsonObject], users: Collection[str], at: str
) -> Finding:
    """Judge whether somebody pushes where somebody wants it; `at` is the namespace of the installation."""
    if not users:
        return ok("nobody asks for it")
    return judge_deployment(deployment, pods, XDS, at)


def users_of_pushing(
    namespaces: Iterable[Namespace], pods: Iterable[JsonObject], settings: SidecarSettings
) -> Iterator[str]:
    """Name who wants endpoints pushed: namespaces, and Pods that do or that ask by themselves."""
    for one in namespaces:
        if namespace_source(one, settings)[0] is DiscoveryMode.XDS:
            yield f"namespace {one.name}"
    for _, pod in living(pods):
        if _wants_pushing(pod):
            yield f"Pod {pod.namespace}/{pod.display_name}"


def _wants_pushing(pod: Pod) -> bool:
    overrides = read_pod_annotations(pod.labels, pod.annotations).overrides
    asks = overrides.discovery is DiscoveryMode.XDS or overrides.mode is Mode.PROXYLESS
    return asks or carries_token(pod) or is_proxyless(pod)
