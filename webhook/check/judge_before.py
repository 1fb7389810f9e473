"""Before installation: can this cluster carry Evenkeel, and may you install it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from webhook.check.model import Finding, failed, ok, warning
from webhook.check.shipped import Permission
from webhook.core import names
from webhook.core.model import JsonObject

SERVER: Final = (1, 30)
"""ValidatingAdmissionPolicy and matchConditions are general there."""
KUBELET: Final = (1, 29)
"""Sidecars that restart are on there."""
_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)")
_ADMISSION: Final = "admissionregistration.k8s.io"
_RBAC: Final = "rbac.authorization.k8s.io"
POLICIES: Final = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
CERT_MANAGER: Final = "cert-manager.io/v1"

_MESHES: Final = {
    "sidecar-injector.istio.io": "Istio",
    "proxy-injector.linkerd.io": "Linkerd",
    "connect-inject.consul.hashicorp.com": "Consul",
    "consul-connect-inject.consul.hashicorp.com": "Consul",
    "injector.kuma.io": "Kuma",
}
"""How the names of their injecting webhooks end."""


def judge_server(major: int, minor: int, git: str) -> Finding:
    """Judge the API server's version."""
    if (major, minor) < SERVER:
        return failed(
            f"the API server is {git}", remedy=f"upgrade it to {_dotted(SERVER)} or newer: its policies are needed"
        )
    return ok(git)


def judge_kubelets(nodes: Iterable[JsonObject]) -> Finding:
    """Judge the versions of all kubelets on Linux; Windows nodes get no sidecar."""
    linux = linux_nodes(nodes)
    old = [f"node {node_name(node)} runs kubelet {_kubelet(node)}" for node in linux if not _new_enough(node)]
    if old:
        need = f"upgrade these nodes to {_dotted(KUBELET)} or newer: older ones start no sidecar before the app"
        return failed(*old, remedy=need)
    if not linux:
        return warning("the cluster has no Linux node yet")
    versions = sorted({_kubelet(node) for node in linux})
    return ok(f"{len(linux)} with {', '.join(versions)}")


def linux_nodes(nodes: Iterable[JsonObject]) -> list[JsonObject]:
    """Give the nodes on which Pods can have a sidecar."""
    return [node for node in nodes if _os(node) != "windows"]


def node_name(node: JsonObject) -> str:
    """Give a node's name."""
    return str(node["metadata"]["name"])


def _new_enough(node: JsonObject) -> bool:
    found = _VERSION.match(_kubelet(node))
    return found is not None and (int(found[1]), int(found[2])) >= KUBELET


def _kubelet(node: JsonObject) -> str:
    return str((node.get("status") or {}).get("nodeInfo", {}).get("kubeletVersion") or "of an unknown version")


def _os(node: JsonObject) -> str:
    said = (node.get("status") or {}).get("nodeInfo", {}).get("operatingSystem")
    return str(said or (node["metadata"].get("labels") or {}).get(names.OS_LABEL) or "linux")


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def judge_admission(served: frozenset[str] | None) -> Finding:
    """Judge whether the API server serves webhooks and policies."""
    needed = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations", *POLICIES)
    missing = [one for one in needed if one not in (served or ())]
    if missing:
        return failed(
            f"{_ADMISSION}/v1 does not serve {', '.join(missing)}",
            remedy="enable the API on the API server (--runtime-config), or upgrade it",
        )
    return ok()


def needed_to_install(namespace: str) -> tuple[Permission, ...]:
    """Give what whoever installs must be allowed to create."""
    wide = (
        ("", "namespaces"),
        (_RBAC, "clusterroles"),
        (_RBAC, "clusterrolebindings"),
        (_ADMISSION, "mutatingwebhookconfigurations"),
        (_ADMISSION, "validatingwebhookconfigurations"),
        *((_ADMISSION, policy) for policy in POLICIES),
        ("scheduling.k8s.io", "priorityclasses"),
    )
    there = (
        ("apps", "deployments"),
        ("", "services"),
        ("", "serviceaccounts"),
        ("policy", "poddisruptionbudgets"),
        ("coordination.k8s.io", "leases"),
        (_RBAC, "roles"),
        (_RBAC, "rolebindings"),
    )
    return (
        *(Permission("create", group, resource) for group, resource in wide),
        *(Permission("create", group, resource, namespace) for group, resource in there),
    )


def judge_permissions(allowed: Mapping[Permission, bool]) -> Finding:
    """Judge whether the installation may be applied."""
    missing = [f"you may not {permission}" for permission, yes in allowed.items() if not yes]
    if missing:
        return failed(*missing, remedy="install with an account bound to ClusterRole cluster-admin")
    return ok()


def judge_cert_manager(served: frozenset[str] | None) -> Finding:
    """Say which overlay fits; both ways are good."""
    if served is None:
        return ok("deploy/overlays/self-managed, since there is no cert-manager")
    return ok("deploy/overlays/cert-manager, since there is one")


def judge_meshes(configurations: Iterable[JsonObject]) -> Finding:
    """Warn of other meshes' injectors: a Pod gets one proxy, theirs or ours."""
    found = sorted({mesh for one in configurations for mesh in _meshes(one)})
    if not found:
        return ok()
    return warning(
        *(f"{mesh} injects Pods in this cluster" for mesh in found),
        remedy=f"label no namespace {names.INJECT}=enabled that a mesh injects: Pods with its proxy get none here",
    )


def _meshes(configuration: JsonObject) -> Iterator[str]:
    for webhook in configuration.get("webhooks") or ():
        for ending, mesh in _MESHES.items():
            if str(webhook.get("name")).endswith(ending):
                yield f"{mesh} ({configuration['metadata']['name']})"
