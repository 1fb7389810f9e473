"""What one live pod carries, and whether that is what it should."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from webhook.core import names
from webhook.core.catalog import Catalog
from webhook.core.decide import carries_sidecar
from webhook.core.errors import PodRejected
from webhook.core.inject import Injector
from webhook.core.model import DiscoveryMode, Mode, Namespace
from webhook.core.pod import Pod
from webhook.core.proxyless import is_proxyless


def carried(pod: Pod, catalog: Catalog, injector: Injector, namespace: Namespace) -> dict[str, Any]:
    """Give a live pod's state (up-to-date, out-of-date, stuck, bare) and why; the keys are stable."""
    mode = Mode.PROXYLESS if is_proxyless(pod) else Mode.SIDECAR
    found = {"name": pod.display_name, "mode": mode.value, **status(pod.annotations)}
    found |= {"added": [], "removed": [], "changed": []}
    if not carries_ours(pod):
        return found | {"state": "bare", "why": _why_bare(pod, catalog, injector, namespace)}
    try:
        wanted = injector.refresh(pod, catalog)
    except PodRejected as rejection:
        return found | {"state": "stuck", "why": "; ".join(rejection.problems)}
    if wanted is None:
        return found | {"state": "stuck", "why": "its own annotations leave no room for the configuration"}
    files = [key for key in names.REFRESHED if key in names.FILES and key in wanted]
    changed = [names.FILES[key] for key in files if wanted[key] != pod.annotations.get(key)]
    if not changed:
        return found | {"state": "up-to-date", "why": ""}
    has, should = found["upstreams"], status(wanted)["upstreams"]
    return found | {
        "state": "out-of-date",
        "why": "what it should carry now differs",
        "added": [each for each in should if each not in has],
        "removed": [each for each in has if each not in should],
        "changed": changed,
    }


def carries_ours(pod: Pod) -> bool:
    """Say whether a pod has its sidecar, or what takes the place of one."""
    return carries_sidecar(pod) or is_proxyless(pod)


def should_carry(pod: Pod, catalog: Catalog, injector: Injector) -> dict[str, Any]:
    """Give the summary of what an injected pod should carry now; of what it carries, where nothing new can be made."""
    try:
        wanted = injector.refresh(pod, catalog)
    except PodRejected:
        wanted = None
    return status(wanted or pod.annotations)


def _why_bare(pod: Pod, catalog: Catalog, injector: Injector, namespace: Namespace) -> str:
    try:
        outcome = injector.admit(pod, catalog, namespace)
    except PodRejected as rejection:
        return "it would be refused now: " + "; ".join(rejection.problems)
    if outcome.skip is not None:
        return f"{outcome.skip.reason}: {outcome.skip.detail}"
    return "it was made before it was selected, or while the webhook was away; make it anew"


def status(annotations: Mapping[str, str]) -> dict[str, Any]:
    """Read the summary that a pod carries; empty where it carries none that can be read."""
    try:
        found = json.loads(annotations.get(names.STATUS) or "{}")
    except ValueError:
        found = {}
    found = found if isinstance(found, dict) else {}
    upstreams, captures = found.get("upstreams"), found.get("captures")
    captures = captures if isinstance(captures, dict) else {}
    return {
        "version": str(found.get("version") or ""),
        "digest": str(found.get("digest") or ""),
        "upstreams": [str(each) for each in upstreams] if isinstance(upstreams, list) else [],
        "captures": {str(service): str(address) for service, address in captures.items()},
        "discovery": str(found.get("discovery") or DiscoveryMode.DNS),
    }
