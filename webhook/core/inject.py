"""The whole of an admission, and the only place that knows the order: decide, render, patch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from webhook.core import names
from webhook.core.annotations import Reading, read_pod_annotations
from webhook.core.capture import carried_addresses
from webhook.core.catalog import Catalog
from webhook.core.decide import decide, is_our_container, name_clashes
from webhook.core.errors import PodRejected
from webhook.core.model import Json, Mode, Namespace, Resources, SidecarSettings
from webhook.core.outcome import Operation, Outcome, Sidecar, Skip, SkipReason
from webhook.core.patch import PatchRecorder
from webhook.core.pod import Pod
from webhook.core.proxyless import admit_proxyless, is_proxyless, refresh_proxyless
from webhook.core.render import Renderer
from webhook.core.resources import has_pod_level_resources, sidecar_resources
from webhook.core.templates import Templates
from webhook.core.volume import is_our_volume

_SILENT: Final = (
    SkipReason.NAMESPACE_DISABLED,
    SkipReason.NOT_SELECTED,
    SkipReason.DISABLED,
    SkipReason.ALREADY_INJECTED,
    SkipReason.MIRROR_POD,
    SkipReason.SYSTEM_NAMESPACE,
    SkipReason.NOT_CREATE,
)
"""Skips that nobody needs to hear of; the others leave a Pod without what was asked for it."""


class Injector:
    """Admits Pods: the same for the webhook, the command line and whatever keeps live Pods true."""

    def __init__(self, settings: SidecarSettings, templates: Templates, dump: Callable[[Json], str]) -> None:
        """Take the operator's settings, the templates, and how a document is written as text."""
        self._settings = settings
        self._renderer = Renderer(settings, templates, dump)

    @property
    def settings(self) -> SidecarSettings:
        """Give what the operator decided."""
        return self._settings

    def admit(self, pod: Pod, catalog: Catalog, namespace: Namespace | None, *, draw: str = "") -> Outcome:
        """Decide about a Pod and, where it gets a sidecar, record the operations that put it in.

        `namespace` is None where the API server has already selected the Pod by its Namespace's label. `draw` is
        another text for every Pod: by it the uid of the sidecar is chosen, the same for the same text.
        Raises PodRejected with every problem in the Pod's own words. The Pod is never changed.
        """
        decision = decide(pod, namespace, self._settings)
        reading = read_pod_annotations(pod.labels, pod.annotations)
        proxyless = reading.overrides.mode is Mode.PROXYLESS
        # Without a sidecar there is no port that it could take.
        if isinstance(decision, Skip) and not (proxyless and decision.reason is SkipReason.PORT_CONFLICT):
            return _skipped(decision, reading)
        if proxyless:
            return self._without_sidecar(pod, reading, catalog)
        resources = self._checked(pod, reading)
        sidecar = self._renderer.render(pod, reading.overrides, resources, catalog, draw=draw)
        if isinstance(sidecar, Skip):
            return _skipped(sidecar, reading)
        ignored = _ignored_resources(pod, reading)
        return Outcome(None, _operations(pod, sidecar), (*reading.warnings, *ignored, *sidecar.warnings), sidecar)

    def refresh(self, pod: Pod, catalog: Catalog) -> Mapping[str, str] | None:
        """Give the annotations that a live Pod of ours should carry now; None where no configuration fits.

        Without the bootstrap, which Envoy reads only once. Raises PodRejected where the Pod's annotations are wrong.
        """
        if is_proxyless(pod):
            return refresh_proxyless(catalog.trust)
        sidecar = self._again(pod, catalog, live=True)
        if sidecar is None:
            return None
        return {key: sidecar.annotations[key] for key in names.REFRESHED if key in sidecar.annotations}

    def anew(self, pod: Pod, catalog: Catalog) -> Sidecar | None:
        """Give the sidecar that a live Pod of ours would have if it were created now; None where it would have none."""
        try:
            return self._again(pod, catalog, live=False)
        except PodRejected:
            return None

    def _again(self, pod: Pod, catalog: Catalog, *, live: bool) -> Sidecar | None:
        reading = read_pod_annotations(pod.labels, pod.annotations)
        if reading.problems:
            raise PodRejected(reading.problems)
        sidecar = self._renderer.render(pod, reading.overrides, None, catalog, live=live)
        return None if isinstance(sidecar, Skip) else sidecar

    def _without_sidecar(self, pod: Pod, reading: Reading, catalog: Catalog) -> Outcome:
        if reading.problems:
            raise PodRejected(reading.problems)
        outcome = admit_proxyless(pod, self._settings, catalog.trust)
        return replace(outcome, warnings=(*reading.warnings, *outcome.warnings))

    def _checked(self, pod: Pod, reading: Reading) -> Resources | None:
        resources, clashes = sidecar_resources(pod, reading.overrides, self._settings)
        problems = [*reading.problems, *clashes, *name_clashes(pod)]
        if reading.overrides.app_port in self._settings.ports.all():
            problems.append(
                f"annotation {names.APP_PORT}: {reading.overrides.app_port} is a port of the sidecar itself"
            )
        if problems:
            raise PodRejected(problems)
        return resources


def _skipped(skip: Skip, reading: Reading) -> Outcome:
    if skip.reason is SkipReason.ALREADY_INJECTED:
        return Outcome(skip)
    loud = () if skip.reason in _SILENT else (f"no sidecar ({skip.reason}): {skip.detail}",)
    return Outcome(skip, warnings=(*reading.warnings, *loud))


def _ignored_resources(pod: Pod, reading: Reading) -> tuple[str, ...]:
    overrides = reading.overrides
    asked = (overrides.cpu_request, overrides.cpu_limit, overrides.memory_request, overrides.memory_limit)
    if not has_pod_level_resources(pod) or asked == (None,) * 4:
        return ()
    return ("annotations for the sidecar's cpu and memory have no effect: the pod has spec.resources of its own",)


def _operations(pod: Pod, sidecar: Sidecar) -> tuple[Operation, ...]:
    edit = PatchRecorder(pod.document)
    edit.set("metadata", "labels", names.INJECTED, value=names.INJECTED_VALUE)
    for key, text in sidecar.annotations.items():
        edit.set("metadata", "annotations", key, value=text)
    container = next((at for at, one in enumerate(pod.init_containers) if is_our_container(one)), None)
    if container is None:
        # First: init containers start in order, and the later ones may already call an upstream.
        edit.insert("spec", "initContainers", index=0, value=sidecar.container)
    else:
        edit.set("spec", "initContainers", container, value=sidecar.container)
    carried = carried_addresses(pod)
    for capture in sidecar.captures.captured:
        if capture.service not in carried:
            edit.append("spec", "hostAliases", value=capture.host_alias)
    volume = next((at for at, one in enumerate(pod.volumes) if is_our_volume(one)), None)
    if volume is None:
        edit.insert("spec", "volumes", index=0, value=sidecar.volume)
    else:
        edit.set("spec", "volumes", volume, value=sidecar.volume)
    return edit.operations
