"""Where a workload's endpoints come from, and which names its pods capture: as plain values, for `explain`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from webhook.core import names
from webhook.core.annotations import namespace_words
from webhook.core.capture import Capture, Captures, keep_captures, not_carried
from webhook.core.catalog import Catalog
from webhook.core.inject import Injector
from webhook.core.model import Overrides, ServiceRef, SidecarSettings
from webhook.core.pod import Pod
from webhook.core.source import Source, find_source
from webhook.core.view import View, make_view

_OLDER: Final = "the pod was created before somebody asked for it, and aliases are for life; make it anew"


class Sight(NamedTuple):
    """What pods see, and through which glasses."""

    view: View
    source: Source


def look(pod: Pod, overrides: Overrides, catalog: Catalog, settings: SidecarSettings, *, live: bool) -> Sight:
    """Say what a Pod sees; `live` is one that has its sidecar already."""
    source = find_source(pod, overrides, catalog, settings, live=live)
    view, _ = make_view(catalog, pod.namespace, overrides.upstreams, source.mode)
    return Sight(view, source)


def discovery(source: Source) -> dict[str, Any]:
    """Give where endpoints come from; the keys are stable."""
    return {"mode": source.mode.value, "said": source.said, "against": source.against}


def captured(found: Captures | None, pod: Pod, catalog: Catalog, sight: Sight, injector: Injector) -> Any:
    """Give the names that go through the sidecar, and those that were to and do not; the keys are stable.

    `found` is what an admission decided; None where the Pod has its sidecar, and captures what it does for life.
    """
    captures = found or _of_a_live_pod(pod, catalog, sight, injector)
    left = [*captures.left, *_said_not_to_be(pod, catalog, sight.view, injector.settings)]
    return {
        "names": [_capture(each) for each in captures.captured],
        "left": [{"service": str(ref), "why": why} for ref, why in left],
    }


def _of_a_live_pod(pod: Pod, catalog: Catalog, sight: Sight, injector: Injector) -> Captures:
    anew = injector.anew(pod, catalog)
    later = not_carried(pod, anew.captures) if anew else ()
    kept = keep_captures(pod, catalog, sight.view, injector.settings)
    return Captures(kept, tuple((ref, _OLDER) for ref in later))


def _capture(capture: Capture) -> dict[str, Any]:
    return {
        "service": str(capture.service),
        "address": capture.address,
        "names": list(capture.hostnames),
        "ports": [
            {"port": each.port, "upstream": each.upstream.cluster, "balanced": each.grpc} for each in capture.listens
        ],
    }


def _said_not_to_be(
    pod: Pod, catalog: Catalog, view: View, settings: SidecarSettings
) -> Iterator[tuple[ServiceRef, str]]:
    """Name the Services that say no where the Pod, its Namespace or the operator said yes."""
    own = pod.annotations.get(names.CAPTURE)
    wide, _ = namespace_words(catalog.namespace(pod.namespace).annotations)
    wish = own == names.ENABLED if own else wide.capture
    if wish is False or not (wish or settings.capture):
        return
    for service in (*view.services, *view.only_pushed):
        if service.capture is False:
            yield service.ref, f"annotation {names.CAPTURE}={names.DISABLED} of the Service says so"
