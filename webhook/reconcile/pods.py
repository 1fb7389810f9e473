"""The live Pods that carry our label, as they were last seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator

from webhook.reconcile.keep import LivePod, PodKey


class Pods:
    """The newest form of each Pod, whether a watch brought it or the answer to a patch of ours did.

    What is older than what is known is passed over: a patch's answer comes before its event, and an event from
    before the patch would make the Pod look as if it needed another one.
    """

    def __init__(self) -> None:
        self._pods: dict[PodKey, LivePod] = {}
        self._by_namespace: defaultdict[str, dict[PodKey, None]] = defaultdict(dict)

    def __len__(self) -> int:
        """Count them."""
        return len(self._pods)

    def __iter__(self) -> Iterator[PodKey]:
        """Give every Pod's key; namespace by namespace, so that equal views are rendered after each other."""
        return (key for keys in tuple(self._by_namespace.values()) for key in tuple(keys))

    def get(self, key: PodKey) -> LivePod | None:
        """Give a Pod as it was last seen."""
        return self._pods.get(key)

    def namespaces(self) -> Collection[str]:
        """Give the namespaces that have some."""
        return tuple(self._by_namespace)

    def of(self, namespace: str) -> Collection[PodKey]:
        """Give the Pods of a namespace, by name."""
        return sorted(self._by_namespace.get(namespace, {}))

    def put(self, live: LivePod) -> bool:
        """Take a Pod as it is now; say whether anything differs that matters."""
        known = self._pods.get(live.key)
        if known is not None and known.uid == live.uid and live.version < known.version:
            return False
        self._pods[live.key] = live
        self._by_namespace[live.key.namespace][live.key] = None
        return live.differs(known)

    def remove(self, gone: LivePod) -> bool:
        """Forget a Pod, unless one of the same name has taken its place; say whether it was known."""
        known = self._pods.get(gone.key)
        if known is None or known.uid != gone.uid:
            return False
        self._forget(gone.key)
        return True

    def _forget(self, key: PodKey) -> None:
        del self._pods[key]
        keys = self._by_namespace[key.namespace]
        del keys[key]
        if not keys:
            del self._by_namespace[key.namespace]
