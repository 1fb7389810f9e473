"""The zones that clients run in: labels of their nodes, asked for when somebody connects from there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

import structlog

from webhook.kube.errors import ClusterError, NotFound, Unreachable
from webhook.kube.resources import NODES
from webhook.xds.enquiries import Enquiries
from webhook.xds.memory import Memory

ZONE_LABEL: Final = "topology.kubernetes.io/zone"
_AT_ONCE: Final = 8
_SECONDS: Final = 2.0
"""A client waits no longer for it: without a zone it is served as well, evenly."""
_KEPT: Final = 600.0
"""A node keeps its zone as long as it lives, and its name may come back in another."""
_UNKNOWN_KEPT: Final = 30.0
_MOST_NODES: Final = 20_000


class Reader(Protocol):
    """As much of `webhook.kube.api.Api` as is needed here."""

    async def get(self, path: str, **params: Any) -> Any:
        """Read one object; raises a ClusterError."""


class _Known(NamedTuple):
    """A node's zone, empty where it has none, and until when it is not asked for again."""

    zone: str
    until: float


class Zones:
    """Remembers the zone of each node; `run` must be running."""

    def __init__(self, api: Reader, *, now: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._now = now
        self._known: Memory[str, _Known] = Memory(_MOST_NODES)
        self._enquiries: Enquiries[str, str, str] = Enquiries(self._ask, at_once=_AT_ONCE, clock=now)
        self._told: str | None = None
        self._log = structlog.get_logger().bind()

    async def of(self, node: str) -> str:
        """Give the zone of a node; empty where it has none, or nobody can say.

        While the API server does not answer, what it said last stays true.
        """
        if not node:
            return ""
        known = self._known.get(node)
        if known is not None and self._now() < known.until:
            return known.zone
        try:
            return await self._enquiries.answer(node, node, _SECONDS)
        except (ClusterError, TimeoutError) as error:
            self._tell(node, str(error) or "no answer in time")
            return known.zone if known is not None else ""

    async def run(self) -> None:
        """Ask, for ever."""
        await self._enquiries.run()

    async def _ask(self, node: str) -> str:
        path = NODES.path(name=node)
        try:
            async with asyncio.timeout(_SECONDS):
                found = await self._api.get(path)
        except NotFound:
            found = {}
        except TimeoutError as error:
            raise Unreachable("GET", path, f"the API server said nothing for {_SECONDS:g} s") from error
        zone = str(((found.get("metadata") or {}).get("labels") or {}).get(ZONE_LABEL) or "")
        self._known.put(node, _Known(zone, self._now() + (_KEPT if zone else _UNKNOWN_KEPT)))
        self._told = None
        return zone

    def _tell(self, node: str, why: str) -> None:
        if self._told is None:
            self._told = why
            self._log.warning(
                "the zone of a node cannot be asked for: its Pods are served evenly", node=node, error=why
            )
