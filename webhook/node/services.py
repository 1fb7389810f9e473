"""The Services that the node's DNS knows."""

import copy
import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from webhook.node.errors import NodeError


class Services:
    """Services by namespace and name; whoever listens hears of every change.

    One that is not headless has a name only: nothing here takes calls to its address to a Pod.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._known: dict[tuple[str, str], dict[str, Any]] = {}

    def apply(self, document: Mapping[str, Any]) -> None:
        """Make or replace a Service; NodeError if it is neither headless nor has an IPv4 address given."""
        metadata, spec = document.get("metadata") or {}, document.get("spec") or {}
        namespace, name = metadata.get("namespace") or "default", metadata.get("name")
        if document.get("kind") != "Service" or not name:
            raise NodeError(f"{document.get('kind')} {name!r} is no Service with a name")
        if not _is_known(spec.get("clusterIP")):
            raise NodeError(
                f"Service {namespace}/{name}: clusterIP is {spec.get('clusterIP')!r}; nobody here gives one, so that "
                "it must be 'None' (headless) or an IPv4 address"
            )
        self._known[namespace, name] = copy.deepcopy(dict(document))
        self._changed()

    def remove(self, namespace: str, name: str) -> None:
        """Forget a Service; NodeError if it is not there."""
        if self._known.pop((namespace, name), None) is None:
            raise NodeError(f"there is no Service {namespace}/{name}")
        self._changed()

    def all(self) -> Mapping[tuple[str, str], Mapping[str, Any]]:
        """Give the Services by (namespace, name)."""
        return dict(self._known)


def _is_known(cluster_ip: object) -> bool:
    if cluster_ip == "None":
        return True
    try:
        return isinstance(cluster_ip, str) and bool(ipaddress.IPv4Address(cluster_ip))
    except ValueError:
        return False
