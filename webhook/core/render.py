"""What is put into a Pod: the container, the volume and the annotations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final
from zlib import crc32

from webhook.core import names
from webhook.core.advice import http_proxy_warnings
from webhook.core.annotations import namespace_words
from webhook.core.capture import Captures, find_captures, keep_captures
from webhook.core.catalog import Catalog
from webhook.core.configuration import Configuration, Configurations, Wanted, annotation_bytes
from webhook.core.ingress import ingress
from webhook.core.model import DiscoveryMode, Json, Overrides, Resources, SidecarSettings, UpstreamRef
from webhook.core.outcome import Sidecar, Skip, SkipReason
from webhook.core.pod import Pod
from webhook.core.source import Source, find_source
from webhook.core.template import OMIT
from webhook.core.templates import Templates, config_file
from webhook.core.view import View, default_target
from webhook.core.volume import volume

ANNOTATION_LIMIT: Final = 256 * 1024
"""Of all annotations of an object together (Kubernetes, `TotalAnnotationSizeLimitB`)."""
_MOST_UPSTREAMS: Final = 300
"""More than could ever fit; keeps a namespace of 10,000 Services from being rendered to be thrown away."""
_ENVOY_UID: Final = 101
"""Of the image; where nobody tells one Pod from another."""
_FIRST_UID: Final = 10_101
_UIDS: Final = 64
"""Envoy opens an inotify instance for each of its 3 to 7 files, the kernel allows a uid 128 of them on a node, and who
gets none aborts: sidecars of one node must not all be the same user (docs/decisions/0013)."""
_USUAL_GRACE_SECONDS: Final = 30


class Renderer:
    """Makes sidecars. Pure but for its caches."""

    def __init__(self, settings: SidecarSettings, templates: Templates, dump: Callable[[Json], str]) -> None:
        self._settings = settings
        self._templates = templates
        self._configurations = Configurations(settings, templates, dump)
        self._cut = lru_cache(maxsize=256)(View.cut)
        self._container = lru_cache(maxsize=16 * _UIDS)(self._fill_container)

    def render(
        self,
        pod: Pod,
        overrides: Overrides,
        resources: Resources | None,
        catalog: Catalog,
        *,
        draw: str = "",
        live: bool = False,
    ) -> Sidecar | Skip:
        """Make the sidecar of a Pod; a Skip where its own annotations leave no room for the configuration.

        `draw` tells Pods apart, so that their sidecars are different users.
        Of a live Pod the spec is what it is: what is captured and how its sidecar says who it is were settled then.
        """
        words, _ = namespace_words(catalog.namespace(pod.namespace).annotations)
        source = find_source(pod, overrides, catalog, self._settings, live=live)
        mode = source.mode
        seen = self._configurations.view(catalog, pod.namespace, overrides.upstreams, mode)
        app_port, warnings = ingress(pod, overrides, catalog, self._settings)
        wish = words.capture if overrides.capture is None else overrides.capture

        def captures(view: View) -> Captures:
            if live:
                return Captures(keep_captures(pod, catalog, view, self._settings))
            return find_captures(pod, catalog, view, self._settings, wish=wish)

        wanted = self._wanted(overrides, seen.view, app_port)._replace(
            mode=mode, trust=catalog.trust if mode is DiscoveryMode.XDS else ""
        )
        fitting = self._fitting(pod, overrides, wanted, captures)
        if fitting is None:
            return Skip(SkipReason.ANNOTATIONS_FULL, "the pod's annotations leave no room for the configuration")
        configuration, captured, left_out = fitting
        return Sidecar(
            container=self._container(
                overrides.image or self._settings.image,
                overrides.concurrency or self._settings.concurrency,
                overrides.log_level or self._settings.log_level,
                resources,
                _run_as_user(pod, catalog, draw),
                _linger(pod, self._settings) if app_port else None,
            ),
            volume=volume(configuration.annotations),
            annotations=configuration.annotations,
            warnings=(*_warnings(pod, overrides, seen.view, seen.missing), *_by_dns(source), *warnings, *left_out),
            upstreams=configuration.upstreams,
            captures=captured,
        )

    def _fitting(
        self, pod: Pod, overrides: Overrides, wanted: Wanted, captures: Callable[[View], Captures]
    ) -> tuple[Configuration, Captures, tuple[str, ...]] | None:
        """Give the largest configuration that fits, and a warning where Services had to be left out."""
        theirs = {key: text for key, text in pod.annotations.items() if key not in names.WRITTEN}
        room = ANNOTATION_LIMIT - annotation_bytes(theirs)
        view = wanted.view
        everything = _count(view)
        most = min(everything, _MOST_UPSTREAMS)
        while most >= 0:
            shown = view if most == everything else self._cut(view, most, overrides.default_upstream)
            found = captures(shown)
            default = default_target(shown, pod.labels, overrides.default_upstream)
            configuration = self._configurations.configuration(
                wanted._replace(view=shown, default=default, captures=found.captured)
            )
            if configuration.size <= room:
                return configuration, found, _left_out(len(view.services) - len(shown.services))
            # Sizes grow evenly with upstreams: aim a little below what would fit, so that few steps are needed.
            most = min(most - 1, int(_count(shown) * room / configuration.size * 0.98))
        return None

    def _wanted(self, overrides: Overrides, view: View, app_port: int | None) -> Wanted:
        access_log = self._settings.access_log if overrides.access_log is None else overrides.access_log
        return Wanted(view, None, app_port, access_log)

    def _fill_container(
        self,
        image: str,
        concurrency: int,
        log_level: str,
        resources: Resources | None,
        uid: int | None,
        linger: int | None,
    ) -> Any:
        return self._templates.sidecar.fill(
            name=names.SIDECAR,
            image=image,
            bootstrap_file=config_file(names.BOOTSTRAP),
            concurrency=str(concurrency),
            log_level=log_level,
            probe_port=self._settings.ports.probe,
            lifecycle={"preStop": {"sleep": {"seconds": linger}}} if linger else OMIT,
            resources=resources.as_document() if resources else OMIT,
            run_as_user=OMIT if uid is None else uid,
            volume=names.VOLUME,
            config_folder=names.CONFIG_FOLDER,
        )


def _run_as_user(pod: Pod, catalog: Catalog, draw: str) -> int | None:
    """Give Envoy's uid, or none where the Pod or OpenShift chooses one.

    A Pod that runs as root is no choice: with runAsNonRoot the sidecar would never start.
    """
    chosen = (pod.spec.get("securityContext") or {}).get("runAsUser")
    ranged = names.OPENSHIFT_UID_RANGE in catalog.namespace(pod.namespace).annotations
    if chosen or ranged:
        return None
    if (known := _carried_uid(pod)) is not None:
        return known
    return _FIRST_UID + crc32(draw.encode(errors="surrogatepass")) % _UIDS if draw else _ENVOY_UID


def _carried_uid(pod: Pod) -> int | None:
    """Give the uid of a sidecar of ours that is rendered again in its place: it stays the user that it was."""
    ours = (one.get("securityContext") for one in pod.init_containers if one["name"] == names.SIDECAR)
    uids = (context.get("runAsUser") for context in ours if isinstance(context, dict))
    return next((uid for uid in uids if uid in range(_FIRST_UID, _FIRST_UID + _UIDS)), None)


def _linger(pod: Pod, settings: SidecarSettings) -> int | None:
    """Give how long a sidecar with an ingress outstays the news that its pod is leaving.

    Callers learn that from DNS; until then they must find somebody who sends them elsewhere. Kubernetes refuses
    a Pod whose hook sleeps as long as its grace period or longer.
    """
    grace = pod.spec.get("terminationGracePeriodSeconds")
    longest = _USUAL_GRACE_SECONDS if grace is None else grace
    return min(settings.linger_seconds, longest - 1) if longest > 1 else None


def _count(view: View) -> int:
    return sum(len(service.upstreams) for service in view.services)


def _by_dns(source: Source) -> tuple[str, ...]:
    return (f"{source.said}: endpoints come by DNS, since {source.against}",) if source.against else ()


def _left_out(services: int) -> tuple[str, ...]:
    if not services:
        return ()
    limit = f"Kubernetes' limit of {ANNOTATION_LIMIT // 1024} KiB for annotations"
    return (f"{services} Services are left out to keep {limit}; set annotation {names.UPSTREAMS} to choose",)


def _warnings(pod: Pod, overrides: Overrides, view: View, missing: tuple[UpstreamRef, ...]) -> Iterator[str]:
    for reference in missing:
        yield f"annotation {names.UPSTREAMS}: {reference} is no upstream that this namespace sees (yet)"
    chosen = overrides.default_upstream
    if chosen is not None and view.find(chosen) is None:
        yield f"annotation {names.DEFAULT_UPSTREAM}: {chosen} is no upstream of this pod (yet)"
    yield from http_proxy_warnings(pod)
