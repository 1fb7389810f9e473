"""A discovery with all that it published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from tests.builders import endpoint_slice, port
from tests.kube.apiserver import ApiServer
from tests.kube.kit import Json, Time, running, until
from webhook.core.catalog import Catalog
from webhook.kube.api import Api
from webhook.kube.discovery import Changed, Discovery
from webhook.kube.metrics import DiscoveryMetrics
from webhook.kube.resources import ENDPOINT_SLICES, MUTATING_WEBHOOKS, NAMESPACES, SERVICES
from webhook.observe import CatalogMetrics

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
NAMED = port(50051, "grpc", targetPort="api")
SLICE = {"name": "grpc", "port": 9}
FOLLOWED = (SERVICES, NAMESPACES, ENDPOINT_SLICES, MUTATING_WEBHOOKS)


def slice_of(name: str, *ports: Json, **labels: str) -> Json:
    """Make an EndpointSlice as the controller does, of a headless Service; labels given take the place of its own."""
    found = endpoint_slice(name, *ports)
    found["metadata"]["labels"] |= labels or {MANAGED_BY: CONTROLLER, "service.kubernetes.io/headless": ""}
    return found


class Discovered:
    """A discovery with all that it published."""

    def __init__(self, api: Api, time: Time, **spans: float) -> None:
        self.time = time
        self.task: asyncio.Task[None]
        self.catalogs: list[Catalog] = []
        self.told: list[Changed] = []
        self.registry = CollectorRegistry()
        self.discovery = Discovery(
            api,
            self.catalogs.append,
            CatalogMetrics(self.registry),
            DiscoveryMetrics(self.registry),
            pace=time.pace(**spans),
        )
        self.discovery.subscribe(self._heard)

    def _heard(self, catalog: Catalog, changed: Changed) -> None:
        assert catalog is self.catalogs[-1]
        self.told.append(changed)

    def upstreams(self) -> list[str]:
        """Give the upstreams of the namespace in the catalog of now."""
        return [upstream.cluster for one in self.catalogs[-1].own("shop") for upstream in one.upstreams]

    def metric(self, name: str, **labels: str) -> float | None:
        """Read a metric."""
        return self.registry.get_sample_value(name, labels)


Discover = Callable[..., Any]


def discoverer(server: ApiServer, api: Api) -> Discover:
    """Give a way to discover what is in the server."""

    @asynccontextmanager
    async def discovered(*objects: Json, **spans: float) -> AsyncIterator[Discovered]:
        for resource in FOLLOWED:
            server._objects.setdefault(resource.path(), {})
        for obj in objects:
            await server.put(path_of(obj), obj)
        one = Discovered(api, Time(), **spans)
        async with running(one.discovery.run()) as (one.task,):
            yield one

    return discovered


def path_of(obj: Json) -> str:
    """Give the collection of an object."""
    return {one.kind: one.path() for one in FOLLOWED}[obj["kind"]]


async def ready(server: ApiServer, one: Discovered) -> None:
    """Wait for the first catalog, and until everything is watched."""
    await until(lambda: one.catalogs and len(server.watches) == 5)
