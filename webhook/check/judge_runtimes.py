"""Whether the container runtimes of all nodes let an ordinary user bind ports below 1024. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from webhook.check.judge_before import linux_nodes, node_name
from webhook.check.model import Finding, ok, warning
from webhook.core.model import JsonObject

_RUNTIME: Final = re.compile(r"(?P<name>[a-z0-9-]+)://v?(?P<major>\d+)\.(?P<minor>\d+)(?P<rest>.*)")
_ALLOWS: Final = {"containerd": (2, 0), "docker": (20, 10)}
"""The first versions that set net.ipv4.ip_unprivileged_port_start=0 in every Pod unasked:
https://github.com/containerd/containerd/pull/9348, https://github.com/moby/moby/pull/41030."""
_K3S: Final = "k3s"
"""Its containerd is configured so in every version: https://github.com/k3s-io/k3s/pull/5538."""
_MOST: Final = 5
_REMEDY: Final = (
    "let them set net.ipv4.ip_unprivileged_port_start=0 (CRI-O: default_sysctls; containerd before 2.0: "
    "enable_unprivileged_ports), or switch off the setting sidecar.privileged_ports"
)


def judge_runtimes(nodes: Iterable[JsonObject]) -> Finding:
    """Judge the container runtimes of Linux nodes, for sidecars that are to listen on ports below 1024."""
    linux = linux_nodes(nodes)
    doubtful = [f"node {node_name(node)} runs {_runtime(node)}" for node in linux if not _allows(_runtime(node))]
    if doubtful:
        more = [f"and {len(doubtful) - _MOST} more"] if len(doubtful) > _MOST else []
        return warning(*doubtful[:_MOST], *more, remedy=_REMEDY)
    return ok(", ".join(sorted({_runtime(node) for node in linux})))


def _runtime(node: JsonObject) -> str:
    found = (node.get("status") or {}).get("nodeInfo", {}).get("containerRuntimeVersion")
    return str(found or "an unknown container runtime")


def _allows(runtime: str) -> bool:
    found = _RUNTIME.fullmatch(runtime)
    if found is None or found["name"] not in _ALLOWS:
        return False
    return _K3S in found["rest"] or (int(found["major"]), int(found["minor"])) >= _ALLOWS[found["name"]]
