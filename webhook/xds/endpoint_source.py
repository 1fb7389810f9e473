"""The endpoints of every Service's ports, as each namespace and zone may see them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Final

from webhook.core.catalog import Catalog
from webhook.core.endpoints import EndpointBook
from webhook.core.model import JsonObject, Service, ServicePort, ServiceRef
from webhook.xds.identity import Identity
from webhook.xds.resources import load_assignment
from webhook.xds.source import Resource

_EVERYBODY: Final = "*"


def resource_name(ref: ServiceRef, port: int) -> str:
    """Give the name by which the endpoints of a Service's port are asked for: `orders.shop:50051`."""
    return f"{ref}:{port}"


def parse_name(name: str) -> tuple[ServiceRef, int] | None:
    """Read such a name; None where it is none."""
    host, _, number = name.rpartition(":")
    service, _, namespace = host.partition(".")
    if not (service and namespace and number.isascii() and number.isdecimal() and len(number) <= len("65535")):
        return None
    ref, port = ServiceRef(namespace, service), int(number)
    return (ref, port) if resource_name(ref, port) == name else None


def visible(service: Service, namespace: str) -> bool:
    """Say whether a namespace may be told of a Service: its own, and what is exported to it."""
    return service.ref.namespace == namespace or not service.export_to.isdisjoint((namespace, _EVERYBODY))


class EndpointSource:
    """The resources of type EDS.

    What does not exist and what may not be seen is the same: without endpoints, so that nobody waits and nobody learns.
    A resource is made when it is first asked for and kept until it may be another.
    """

    def __init__(self, catalog: Catalog | None = None) -> None:
        self.book = EndpointBook()
        self._catalog = catalog or Catalog()
        self._made: dict[str, dict[str, Resource]] = {}
        """By name and zone; only names of Services that there are."""

    def put_slice(self, key: Hashable, document: JsonObject | None) -> frozenset[str]:
        """Put an EndpointSlice in its place, None takes it away; give the names that may be others now."""
        return self._forget(self._names(self.book.put(key, document)))

    def put_catalog(self, catalog: Catalog, changed: Iterable[ServiceRef] | None = None) -> frozenset[str]:
        """Take another catalog and which Services have changed, None for all; give the names that may be others now."""
        refs = self._catalog.services.keys() | catalog.services.keys() if changed is None else tuple(changed)
        before = self._names(refs)
        self._catalog = catalog
        return self._forget(before | self._names(refs))

    def get(self, client: Identity, name: str) -> Resource:
        """Give the endpoints of a name as a client may see them."""
        service, port = self._find(name)
        if service is None or port is None or not visible(service, client.namespace):
            return load_assignment(name, ())
        zone = client.zone if service.prefer_zone else ""
        made = self._made.setdefault(name, {})
        if zone not in made:
            made[zone] = load_assignment(name, self.book.endpoints(service.ref, port.name), zone)
        return made[zone]

    def _find(self, name: str) -> tuple[Service | None, ServicePort | None]:
        ref, number = parse_name(name) or (None, 0)
        service = self._catalog.services.get(ref) if ref else None
        ports = service.ports if service else ()
        return service, next((port for port in ports if port.number == number), None)

    def _names(self, refs: Iterable[ServiceRef]) -> frozenset[str]:
        found = (self._catalog.services.get(ref) for ref in refs)
        return frozenset(resource_name(one.ref, port.number) for one in found if one for port in one.ports)

    def _forget(self, names: frozenset[str]) -> frozenset[str]:
        for name in names:
            self._made.pop(name, None)
        return names
