"""What is kept in memory of a live Pod: as much as the rules read, and digests in place of our long texts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from webhook.core import names
from webhook.core.capture import is_our_alias
from webhook.core.errors import NotAPod
from webhook.core.pod import Pod, read_pod

_ENDED: Final = ("Succeeded", "Failed")
_READ: Final = ("name", "ports", "restartPolicy", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle")
_SHARED: Final = 4096
"""Specs of which equal ones are kept once: replicas have the same."""
_TEXTS: Final = 256
"""Texts whose digests are remembered, with the texts: few, since they are long; replicas come after each other."""


class PodKey(NamedTuple):
    """A Pod by namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Give it as people write it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class LivePod:
    """A Pod as it was last seen."""

    key: PodKey
    uid: str
    version: int
    """The resourceVersion as a number, for telling older from newer; 0 where it is none."""
    ending: bool
    pod: Pod | None
    """With digests as the values of our own annotations; None where it is not shaped like a Pod."""
    writer: str
    """The version of Evenkeel that wrote its annotations."""

    def differs(self, other: LivePod | None) -> bool:
        """Say whether anything differs that matters here: a change of the status does not."""
        return other is None or (self.uid, self.ending, self.pod) != (other.uid, other.ending, other.pod)

    @property
    def carried(self) -> Mapping[str, str]:
        """Give digests of the annotations that are ours to write."""
        annotations = self.pod.annotations if self.pod else {}
        return {key: annotations[key] for key in names.REFRESHED if key in annotations}


def keep_pod(document: Mapping[str, Any]) -> LivePod:
    """Trim a Pod as the API server sends it.

    A large Pod with its status, managed fields and 20 KiB of configuration comes down to 1 or 2 KiB; what the
    annotations of a refresh depend on is all there.
    """
    metadata = document["metadata"]
    key = PodKey(metadata.get("namespace", ""), metadata["name"])
    status = document.get("status") or {}
    annotations = metadata.get("annotations") or {}
    return LivePod(
        key=key,
        uid=metadata.get("uid", ""),
        version=version_number(metadata.get("resourceVersion")),
        ending="deletionTimestamp" in metadata or status.get("phase") in _ENDED,
        pod=_pod(document, metadata, annotations, key.namespace),
        writer=_writer(annotations.get(names.STATUS, "")),
    )


def version_number(text: str | None) -> int:
    """Read a resourceVersion as the number that it is (promised since Kubernetes 1.35, true before); else 0."""
    return int(text) if text and text.isdecimal() else 0


@lru_cache(maxsize=_TEXTS)
def digest(text: str) -> str:
    """Give a short text that stands for a long one; empty for empty."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest() if text else ""


def _pod(document: Any, metadata: Any, annotations: Any, namespace: str) -> Pod | None:
    try:
        read_pod(document, namespace)
    except NotAPod:
        return None
    kept = {key: digest(text) if key in names.WRITTEN else text for key, text in annotations.items()}
    trimmed = {"labels": metadata.get("labels") or {}, "annotations": kept, "name": metadata["name"]}
    spec = _shared(orjson.dumps(_spec(document["spec"])))
    return read_pod({"metadata": trimmed, "spec": spec}, namespace)


def _spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "containers": [_container(one) for one in spec["containers"]],
        "initContainers": [_container(one) for one in spec.get("initContainers") or ()],
        "hostAliases": [one for one in spec.get("hostAliases") or () if is_our_alias(one)],
        # The others have generated names, which would make every replica's spec another.
        "volumes": [one for one in spec.get("volumes") or () if one["name"] == names.VOLUME],
    }


def _container(container: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: container[key] for key in _READ if key in container}
    mounts = [{"name": one["name"]} for one in container.get("volumeMounts") or () if one.get("name") == names.VOLUME]
    return {**kept, "volumeMounts": mounts} if mounts else kept


@lru_cache(maxsize=_SHARED)
def _shared(spec: bytes) -> Any:
    return orjson.loads(spec)


def _writer(status: str) -> str:
    try:
        return str(orjson.loads(status)["version"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
