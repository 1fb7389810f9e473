"""Which kinds of Kubernetes carry a pod template, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from webhook.core.errors import NotAPod

if TYPE_CHECKING:
    from webhook.core.model import JsonObject

_TEMPLATE: Final = ("spec", "template")
_PATHS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("", "Pod"): (),
    ("", "ReplicationController"): _TEMPLATE,
    ("apps", "Deployment"): _TEMPLATE,
    ("apps", "StatefulSet"): _TEMPLATE,
    ("apps", "DaemonSet"): _TEMPLATE,
    ("apps", "ReplicaSet"): _TEMPLATE,
    ("batch", "Job"): _TEMPLATE,
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
}
KINDS: Final = tuple(kind for _, kind in _PATHS)
"""Every kind whose pods can be injected."""
DEFAULT_NAMESPACE: Final = "default"


@dataclass(frozen=True, slots=True)
class Template:
    """The pod template of a workload, or a Pod itself."""

    kind: str
    name: str
    namespace: str | None
    """As the object says; None where it does not."""
    path: tuple[str, ...]
    """Where the template stands in the object; empty for a Pod."""
    document: JsonObject


def pod_template(obj: Any) -> Template | None:
    """Find the pod template of a Kubernetes object.

    Returns None for a kind without one. Raises NotAPod, naming the field, where the kind has one and the
    object does not.
    """
    if not isinstance(obj, dict):
        return None
    group = str(obj.get("apiVersion") or "").rpartition("/")[0]
    kind = obj.get("kind")
    path = _PATHS.get((group, kind)) if isinstance(kind, str) else None
    if path is None:
        return None
    metadata = _object(obj.get("metadata") or {}, "metadata")
    document = obj
    for depth, key in enumerate(path, start=1):
        document = _object(document.get(key), ".".join(path[:depth]))
    namespace = metadata.get("namespace")
    return Template(
        kind=str(kind),
        name=str(metadata.get("name") or f"{metadata.get('generateName') or ''}*"),
        namespace=str(namespace) if namespace else None,
        path=path,
        document=document,
    )


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotAPod(f"{where}: found {'nothing' if value is None else type(value).__name__}, expected an object")
    return value
