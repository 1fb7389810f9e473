"""How much the sidecars ask of the cluster's DNS. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

from webhook.check.judge_pods import living
from webhook.check.model import Finding, ok, warning
from webhook.core import names
from webhook.core.envoy.resources import dns_refresh
from webhook.core.model import JsonObject, SidecarSettings
from webhook.core.pod import Pod
from webhook.core.volume import carries_token

BOUND: Final = 2_500
"""Queries a second. One replica of CoreDNS answers at least 5,000 of names inside the cluster (providers state that,
CoreDNS's own tests measured several times as many), two are usual, and all else in the cluster asks them too: a quarter
of that is where it pays to look."""

_SMALL: Final = 10
_CONTROL_PLANE_SECONDS: Final = 5
"""Between two queries for the address of `evenkeel xds`, as ads.yaml says."""
_ASKED: Final = re.compile(r'^\s*address: "?[^"\s]+\."?$', re.MULTILINE)
_TTL: Final = re.compile(r"^\s*ttl\s+(\d+)", re.MULTILINE)
_CACHE: Final = re.compile(r"^\s*cache(?:[ \t]+(\d+))?\s*(?:\{|$)", re.MULTILINE)
_SUCCESS: Final = re.compile(r"^\s*success[ \t]+\d+[ \t]+(\d+)", re.MULTILINE)
_NOT_CACHED: Final = re.compile(r"^\s*disable\s+success", re.MULTILINE)
_USUAL_TTL: Final = 5
_USUAL_MOST: Final = 3600
"""CoreDNS's own defaults."""


def judge_dns(pods: Iterable[JsonObject], settings: SidecarSettings) -> Finding:
    """Estimate the DNS queries of all sidecars: each asks for each upstream's name, once every refresh.

    Also for ports that are passed through, for DNS beside pushed endpoints, and for who pushes them.
    """
    living_pods = [pod for _, pod in living(pods)]
    counts = [_upstreams(pod) for pod in living_pods]
    rate = sum(count / int(dns_refresh(settings, count).removesuffix("s")) for count in counts if count)
    rate += sum(map(carries_token, living_pods)) / _CONTROL_PLANE_SECONDS
    asked = f"{rate:,.1f}" if rate < _SMALL else f"{rate:,.0f}"
    said = f"about {asked} queries a second (sidecars: {len(counts)}, upstreams: {sum(counts)})"
    if rate <= BOUND:
        return ok(said)
    return warning(
        f"{said}; two replicas of CoreDNS serve some {4 * BOUND:,}, and others need them too",
        remedy=(
            f"name in annotation {names.UPSTREAMS} what each workload calls",
            "lengthen the setting sidecar.dns_refresh_seconds",
            "run NodeLocal DNSCache, or more replicas of CoreDNS",
        ),
    )


def judge_cache(corefile: str, settings: SidecarSettings) -> Finding:
    """Tell how late a sidecar may hear of a new pod; servers that stay up longer lose no call in a rollout."""
    kept = cached_seconds(corefile)
    return ok(f"{settings.dns_refresh_seconds} s between queries and at most {kept} s in CoreDNS's cache")


def cached_seconds(corefile: str) -> int:
    """Give for how many seconds CoreDNS repeats an answer about the cluster's own names."""
    cache = _CACHE.search(corefile)
    if cache is None or _NOT_CACHED.search(corefile):
        return 0
    life, most = _TTL.search(corefile), _SUCCESS.search(corefile)
    longest = (most and most[1]) or cache[1]
    return min(int(life[1]) if life else _USUAL_TTL, int(longest or _USUAL_MOST))


def _upstreams(pod: Pod) -> int:
    """Count the names that a sidecar asks for, by its clusters; by its summary where those are not to be seen."""
    asked = len(_ASKED.findall(pod.annotations.get(names.CLUSTERS, "")))
    try:
        return asked or len(json.loads(pod.annotations.get(names.STATUS, "{}")).get("upstreams", ()))
    except (ValueError, AttributeError, TypeError):
        return asked
