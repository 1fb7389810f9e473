"""Who made a Pod, and how to have it made again; troubles of many Pods become one line for each owner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from webhook.check.model import Finding
from webhook.core.model import JsonObject

_RESTARTABLE: Final = ("Deployment", "StatefulSet", "DaemonSet")
_SHOWN: Final = 3


class Owner(NamedTuple):
    """What a Pod belongs to: a workload, or the Pod itself."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Give it as people name it."""
        return f"{self.kind} {self.namespace}/{self.name}"

    def restart(self) -> str:
        """Give the command that has its Pods made anew."""
        if self.kind in _RESTARTABLE:
            return f"kubectl rollout restart -n {self.namespace} {self.kind.lower()}/{self.name}"
        if self.kind == "Pod":
            return f"delete and create {self} again"
        return f"have {self} make its Pods anew"


def owner_of(pod: JsonObject) -> Owner:
    """Give the workload of a Pod; a ReplicaSet's Deployment is known by the name that it gave."""
    metadata = pod["metadata"]
    namespace, labels = str(metadata.get("namespace")), metadata.get("labels") or {}
    controller = next((one for one in metadata.get("ownerReferences") or () if one.get("controller")), None)
    if controller is None:
        return Owner("Pod", namespace, str(metadata.get("name")))
    kind, name = str(controller.get("kind")), str(controller.get("name"))
    suffix = f"-{labels.get('pod-template-hash')}"
    if kind == "ReplicaSet" and name.endswith(suffix):
        return Owner("Deployment", namespace, name.removesuffix(suffix))
    return Owner(kind, namespace, name)


def by_owner(
    told: Iterable[tuple[JsonObject, str]],
    judge: Callable[..., Finding],
    remedy: Callable[[Owner], str] = Owner.restart,
) -> list[Finding]:
    """Make one finding for each owner and reason, with how many of its Pods and which."""
    pods: defaultdict[tuple[Owner, str], list[str]] = defaultdict(list)
    for pod, reason in told:
        pods[owner_of(pod), reason].append(str(pod["metadata"]["name"]))
    return [
        judge(f"{owner}: {_which(owner, many)}{reason}", remedy=remedy(owner))
        for (owner, reason), many in sorted(pods.items())
    ]


def _which(owner: Owner, pods: list[str]) -> str:
    if owner.kind == "Pod":
        return ""
    shown = ", ".join(sorted(pods)[:_SHOWN])
    more = f" and {len(pods) - _SHOWN} more" if len(pods) > _SHOWN else ""
    return f"{len(pods)} {'pod' if len(pods) == 1 else 'pods'} ({shown}{more}) "
