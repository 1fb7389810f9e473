"""Live Pods beside what only new ones get: aliases of captured names, and a token for pushed endpoints. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from webhook.check.judge_pods import injected
from webhook.check.model import Finding, ok, together, warning
from webhook.check.owners import by_owner
from webhook.core.annotations import read_pod_annotations
from webhook.core.capture import not_carried
from webhook.core.catalog import Catalog
from webhook.core.inject import Injector
from webhook.core.model import JsonObject
from webhook.core.pod import Pod
from webhook.core.source import find_source

_MOST: Final = 3
"""Names that are shown of one Pod."""


def judge_older(pods: Iterable[JsonObject], catalog: Catalog, injector: Injector) -> Finding:
    """Judge whether live Pods have what they would get if they were created now, and cannot get later."""
    told, count = [], 0
    for one, pod in injected(pods):
        count += 1
        told += [(one, lack) for lack in _lacks(pod, catalog, injector)]
    return together(by_owner(told, warning), ok(f"{count} looked at"))


def _lacks(pod: Pod, catalog: Catalog, injector: Injector) -> Iterator[str]:
    sidecar = injector.anew(pod, catalog)
    if sidecar is None:
        return  # why is told where workloads are judged
    if missing := list(map(str, not_carried(pod, sidecar.captures))):
        more = f" and {len(missing) - _MOST} more" if len(missing) > _MOST else ""
        yield f"created before calls to {', '.join(missing[:_MOST])}{more} were to be captured"
    overrides = read_pod_annotations(pod.labels, pod.annotations).overrides
    source = find_source(pod, overrides, catalog, injector.settings, live=True)
    if source.against:
        yield f"created before {source.said} asked for pushed endpoints: no token, so the DNS is asked"
