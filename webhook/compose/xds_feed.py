"""From what the API server says to what clients are told: the catalog and every EndpointSlice, one change at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from prometheus_client import CollectorRegistry

from webhook.core.catalog import Catalog
from webhook.kube.api import Api
from webhook.kube.discovery import Changed, Discovery
from webhook.kube.endpoints import EndpointSlices
from webhook.kube.metrics import DiscoveryMetrics
from webhook.kube.reflector import Key
from webhook.observe import CatalogMetrics
from webhook.settings import Settings
from webhook.xds.endpoint_problems import EndpointProblems
from webhook.xds.endpoint_source import EndpointSource
from webhook.xds.proxyless import Proxyless
from webhook.xds.source import EDS, Source


class Tell(Protocol):
    """As AdsServer.changed."""

    def __call__(self, type_url: str, names: Iterable[str], /, *, since: float | None = None) -> None:
        """Say which resources of a type may be others now."""


class Feed:
    """Follows the cluster into the sources that clients are served from."""

    def __init__(
        self,
        api: Api,
        catalog: CatalogMetrics,
        watching: DiscoveryMetrics,
        registry: CollectorRegistry,
        settings: Settings,
    ) -> None:
        self._endpoints = EndpointSource()
        self._proxyless = Proxyless(settings.sidecar.cluster_domain)
        self._problems = EndpointProblems(self._endpoints.book, registry)
        self._discovery = Discovery(api, None, catalog, watching, configuration=settings.webhook_configuration)
        self._discovery.subscribe(self._catalog_changed)
        self._slices = EndpointSlices(api, self._slice_changed, watching)
        self._catalog = asyncio.Event()
        self._tell: Tell = _tell_nobody

    @property
    def sources(self) -> Mapping[str, Source]:
        """Give what is served, by type."""
        return {EDS: self._endpoints, **self._proxyless.sources}

    def tell(self, tell: Tell) -> None:
        """Say what shall hear of changes."""
        self._tell = tell

    def missing(self) -> str | None:
        """Say what has not been listed yet and why; None once clients can be told the truth."""
        return self._discovery.missing() or self._slices.missing()

    async def wait_complete(self) -> None:
        """Wait until every Service and every EndpointSlice is known."""
        await self._catalog.wait()
        await self._slices.wait_synced()

    async def run(self) -> None:
        """Follow the cluster for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._discovery.run())
            group.create_task(self._slices.run())
            group.create_task(self._problems.run())

    def _catalog_changed(self, catalog: Catalog, changed: Changed) -> None:
        since = time.monotonic()
        services = None if changed.everything else changed.services
        for type_url, names in self._proxyless.put_catalog(catalog, services).items():
            self._tell(type_url, names, since=since)
        self._tell(EDS, self._endpoints.put_catalog(catalog, services), since=since)
        self._catalog.set()

    def _slice_changed(self, key: Key, document: Any) -> None:
        since = time.monotonic()
        self._tell(EDS, self._endpoints.put_slice(key, document), since=since)
        self._problems.stir()


def _tell_nobody(_type_url: str, _names: Iterable[str], *, since: float | None = None) -> None:
    """Do nothing: there is no server yet."""
