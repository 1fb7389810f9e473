"""What is behind Services that select nothing: EndpointSlices as the tests write them, and what the DNS makes of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from tests.cluster.kit.backends import PORT, Backend
from tests.cluster.kit.rest import Json
from tests.cluster.kit.world import World
from webhook.core import names
from webhook.node.dns import Views
from webhook.node.zone import Zone

SLICES: Final = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"


class NamedSlices(Views):
    """What the node's DNS knows, and beside it the names of Services without Pods."""

    def __init__(self, first: Zone) -> None:
        super().__init__(first)
        self.more: dict[str, tuple[str, ...]] = {}
        """Addresses by full name."""

    def seen(self) -> Zone:
        """Give the zone that a client sees now."""
        zone = super().seen()
        return replace(zone, addresses={**zone.addresses, **self.more})


@asynccontextmanager
async def named_slices(world: World) -> AsyncIterator[NamedSlices]:
    """Have the cluster's DNS know such Services for a while."""
    before = world.node.dns.views
    world.node.dns.views = found = NamedSlices(before.seen())
    try:
        yield found
    finally:
        before.publish(Views.seen(found))
        world.node.dns.views = before


@dataclass(frozen=True, slots=True)
class Member:
    """An endpoint as its slice tells of it."""

    address: str
    zone: str = ""
    ready: bool = True
    terminating: bool = False

    def document(self) -> Json:
        """Give it as part of a slice."""
        conditions = {
            "ready": self.ready and not self.terminating,
            "serving": self.ready,
            "terminating": self.terminating,
        }
        zone = {"zone": self.zone} if self.zone else {}
        return {"addresses": [self.address], "conditions": conditions, **zone}


class Published:
    """The endpoints of one Service; every change is written to the API server, then to the DNS."""

    def __init__(self, world: World, dns: NamedSlices, namespace: str, service: str) -> None:
        self.members: dict[str, Member] = {}
        """By address."""
        self._world = world
        self._dns = dns
        self._namespace = namespace
        self._service = service
        # A write that is overtaken would tell of what is no more.
        self._turn = asyncio.Lock()

    async def put(self, found: Iterable[Backend], *, zone: str = "", ready: bool = True) -> float:
        """Add servers; give how many seconds the API server took for it."""
        self.members |= {each.address: Member(each.address, zone, ready) for each in found}
        return await self.write()

    async def terminate(self, found: Iterable[Backend], *, successors: Iterable[Backend] = ()) -> None:
        """Tell that servers are about to end, and still serve; by the same write of those that take their place."""
        self.members |= {each.address: Member(each.address) for each in successors}
        for each in found:
            self.members[each.address] = replace(self.members[each.address], terminating=True)
        await self.write()

    async def remove(self, found: Iterable[Backend]) -> None:
        """Tell that servers are gone."""
        for each in found:
            self.members.pop(each.address, None)
        await self.write()

    async def write(self) -> float:
        """Tell of the members as they are, and give how many seconds the API server took."""
        async with self._turn:
            begun = time.monotonic()
            endpoints = [one.document() for one in self.members.values()]
            document = endpoint_slice(self._service, f"{self._service}-1", endpoints=endpoints)
            await self._world.rest.apply(document, namespace=self._namespace)
            took = time.monotonic() - begun
            ready = (one.address for one in self.members.values() if one.ready and not one.terminating)
            self.resolve(*ready)
        return took

    def resolve(self, *addresses: str) -> None:
        """Let the DNS know these addresses, whatever the slice says."""
        name = f"{self._service}.{self._namespace}.svc.{self._world.node.cluster_domain}"
        self._dns.more[name] = addresses


def endpoint_slice(service: str, name: str, **fields: Any) -> Json:
    """Make an EndpointSlice of a Service, of its port `grpc` unless the fields say otherwise."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {names.SLICE_SERVICE: service}},
        "addressType": "IPv4",
        "ports": [{"name": "grpc", "port": PORT, "protocol": "TCP"}],
        **fields,
    }


def service(name: str, annotations: dict[str, str] | None = None, **spec: Any) -> Json:
    """Make a Service that selects nothing; headless unless its spec says otherwise."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {"clusterIP": "None", "ports": [{"name": "grpc", "port": PORT}], **spec},
    }
