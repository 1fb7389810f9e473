"""Every EndpointSlice of the cluster, followed one by one: of all Services, headless or not.

What is held of a slice is what tells where its Service is served, as a few thousand bytes of JSON: a text compares at
once, and a slice that was only written anew, with the same endpoints, is no news.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson

from webhook.core import names
from webhook.kube.api import Api, Json
from webhook.kube.metrics import DiscoveryMetrics
from webhook.kube.pace import Pace
from webhook.kube.reflector import Change, ChangeKind, Key, Reflector
from webhook.kube.resources import ENDPOINT_SLICES

NAME: Final = "endpointslices"
_PAGE: Final = 100
"""Slices in a page of a list: each may have a thousand endpoints, and a page is read whole."""
_USUAL: Final = ({"ready": True}, {"ready": True, "serving": True, "terminating": False})
"""Conditions of nearly every endpoint; without any it is ready."""

Put = Callable[[Key, Json | None], None]


class EndpointSlices:
    """Calls `put` for each EndpointSlice that comes, changes or (with None) goes, in the event loop.

    After a list that was broken off or expired, what has changed meanwhile is put, and what has gone is taken away.
    When the API server is gone, what was put last stays true.
    """

    def __init__(self, api: Api, put: Put, watching: DiscoveryMetrics, *, pace: Pace | None = None) -> None:
        self._put = put
        self._reflector = Reflector(
            api,
            ENDPOINT_SLICES,
            handler=self._changed,
            # Those of Services, which are all but a few of somebody's own.
            label_selector=names.SLICE_SERVICE,
            keep=trim_endpoints,
            name=NAME,
            pace=pace,
            observer=watching.of(NAME),
            page_size=_PAGE,
        )

    def missing(self) -> str | None:
        """Say why not all slices are known yet, or None once they were listed; for readiness."""
        if self._reflector.synced:
            return None
        why = f": {self._reflector.last_error}" if self._reflector.last_error else ""
        return f"the {NAME} of the cluster are not known yet{why}"

    async def wait_synced(self) -> None:
        """Wait until all slices were listed once."""
        await self._reflector.wait_synced()

    async def run(self) -> None:
        """Follow them for ever."""
        await self._reflector.run()

    def _changed(self, change: Change) -> None:
        if change.kind is not ChangeKind.REPLACED:
            self._put(change.key, None if change.kind is ChangeKind.DELETED else orjson.loads(change.object))


def trim_endpoints(found: Mapping[str, Any]) -> bytes:
    """Keep of an EndpointSlice whose it is, its ports, and of each endpoint where it is and how it does."""
    metadata = found.get("metadata") or {}
    labels = metadata.get("labels") or {}
    kept = {
        "metadata": {
            "namespace": metadata.get("namespace"),
            "name": metadata.get("name"),
            "labels": {names.SLICE_SERVICE: labels.get(names.SLICE_SERVICE)},
        },
        "addressType": found.get("addressType"),
        "ports": [dict(_without_none(port)) for port in found.get("ports") or ()],
        "endpoints": [_endpoint(each) for each in found.get("endpoints") or ()],
    }
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


def _endpoint(found: Mapping[str, Any]) -> Json:
    kept: Json = {"addresses": (found.get("addresses") or [])[:1]}
    conditions = {key: value for key, value in (found.get("conditions") or {}).items() if value is not None}
    if conditions and conditions not in _USUAL:
        kept["conditions"] = conditions
    if found.get("zone"):
        kept["zone"] = found["zone"]
    if uid := (found.get("targetRef") or {}).get("uid"):
        kept["targetRef"] = {"uid": uid}
    return kept


def _without_none(port: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((key, port[key]) for key in ("name", "port", "endPort", "protocol") if port.get(key) is not None)
