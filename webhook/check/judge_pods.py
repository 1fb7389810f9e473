"""Live Pods beside what they would be if they were created now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from webhook.check.model import Finding, failed, ok, together, warning
from webhook.check.owners import Owner, by_owner
from webhook.core import names
from webhook.core.annotations import read_pod_annotations
from webhook.core.catalog import Catalog
from webhook.core.decide import decide, is_our_container
from webhook.core.errors import NotAPod, PodRejected
from webhook.core.inject import Injector
from webhook.core.model import DiscoveryMode, JsonObject, SidecarSettings
from webhook.core.outcome import Inject
from webhook.core.pod import Pod, read_pod
from webhook.core.proxyless import is_proxyless
from webhook.core.volume import carries_token

_ENDED: Final = ("Succeeded", "Failed")
_LIVE: Final = (names.CLUSTERS, names.ROUTES, names.LISTENERS, names.CAPTURES, names.TRUST)
"""What Envoy runs and can be given anew; the summary beside them changes with the version alone."""


def living(pods: Iterable[JsonObject]) -> Iterator[tuple[JsonObject, Pod]]:
    """Give the Pods that run or will, each with our view of it."""
    for one in pods:
        phase = (one.get("status") or {}).get("phase")
        if phase in _ENDED or one["metadata"].get("deletionTimestamp"):
            continue
        try:
            yield one, read_pod(one, str(one["metadata"].get("namespace")))
        except NotAPod:
            continue


def injected(pods: Iterable[JsonObject]) -> Iterator[tuple[JsonObject, Pod]]:
    """Give the Pods that run or will and have a sidecar of ours, each with our view of it."""
    for one, pod in living(pods):
        if any(map(is_our_container, pod.init_containers)):
            yield one, pod


def judge_bare(pods: Iterable[JsonObject], catalog: Catalog, settings: SidecarSettings) -> Finding:
    """Judge whether every Pod that should have a sidecar has one."""
    told, count = [], 0
    for one, pod in living(pods):
        count += 1
        if isinstance(decide(pod, catalog.namespace(pod.namespace), settings), Inject) and not is_proxyless(pod):
            lost = any(map(is_our_container, pod.init_containers))
            told.append((one, "lost the sidecar's configuration" if lost else "without a sidecar"))
    return together(by_owner(told, failed), ok(f"{count} looked at"))


def judge_up_to_date(pods: Iterable[JsonObject], catalog: Catalog, injector: Injector) -> Finding:
    """Judge whether Pods carry the configuration that the Services of now ask for."""
    told, count = [], 0
    for one, pod in injected(pods):
        count += 1
        try:
            wanted = injector.refresh(pod, catalog)
        except PodRejected:
            continue  # its annotations are told where workloads are judged
        if wanted is None:
            told.append((one, "leave no room for a configuration among their annotations"))
        elif any(wanted[key] != pod.annotations.get(key) for key in _LIVE if key in wanted):
            told.append((one, "with a configuration that is out of date"))
    return together(by_owner(told, warning, _wait_or_restart), ok(f"{count} looked at"))


def _wait_or_restart(owner: Owner) -> str:
    return f"the reconciler mends that within seconds; where it does not, {owner.restart()}"


def judge_bootstrap(pods: Iterable[JsonObject], injector: Injector) -> Finding:
    """Judge whether Pods started with the bootstrap of now, which Envoy reads only once."""
    wanted = {mode: _bootstrap(injector, mode) for mode in DiscoveryMode}
    told = [
        (one, "started with an older bootstrap")
        for one, pod in injected(pods)
        if pod.annotations.get(names.BOOTSTRAP) != wanted[_mode_of(pod)]
    ]
    return together(by_owner(told, warning), ok())


def _mode_of(pod: Pod) -> DiscoveryMode:
    return DiscoveryMode.XDS if carries_token(pod) else DiscoveryMode.DNS


def _bootstrap(injector: Injector, mode: DiscoveryMode) -> str:
    """Give the bootstrap, which is the same for every Pod with one kind of discovery, by admitting one."""
    metadata = {"name": "any", "annotations": {names.DISCOVERY: mode.value}}
    plain = read_pod({"metadata": metadata, "spec": {"containers": [{"name": "app"}]}}, "default")
    sidecar = injector.admit(plain, Catalog(trust="of no account here"), None).sidecar
    return sidecar.annotations[names.BOOTSTRAP] if sidecar else ""


def judge_envoy(pods: Iterable[JsonObject], settings: SidecarSettings) -> Finding:
    """Judge whether Pods run the Envoy that they would be given now."""
    told = []
    for one, pod in injected(pods):
        wanted = read_pod_annotations(pod.labels, pod.annotations).overrides.image or settings.image
        runs = next(each.get("image") for each in pod.init_containers if is_our_container(each))
        if runs != wanted:
            told.append((one, f"with {runs}, now it would be {wanted}"))
    return together(by_owner(told, warning), ok(settings.image))
