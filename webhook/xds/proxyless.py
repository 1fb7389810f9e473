"""What gRPC clients without a sidecar are told: a listener, a route and a cluster for every name that they dial."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from webhook.core.catalog import Catalog
from webhook.core.model import Policy, ServiceRef
from webhook.xds.endpoint_source import parse_name, resource_name, visible
from webhook.xds.grpc_resources import cluster, listener, no_route, route
from webhook.xds.identity import Identity
from webhook.xds.memory import Memory
from webhook.xds.source import CDS, LDS, RDS, Resource, Source
from webhook.xds.targets import meaning, names_of, parse, policy

_MOST: Final = 10_000
"""Resources of each type that are remembered: clients choose the names."""


class Proxyless:
    """The sources of LDS, RDS and CDS for gRPC clients; their EDS is that of sidecars.

    Every name has a listener at once, since gRPC waits 15 s for one that does not exist before it lets calls fail. A
    name that means nothing leads to a cluster without endpoints, and is followed when it comes to mean something.
    """

    def __init__(self, cluster_domain: str, catalog: Catalog | None = None) -> None:
        self._cluster_domain = cluster_domain
        self._catalog = catalog or Catalog()
        self.sources: Final[Mapping[str, Source]] = {
            LDS: _Remembered(lambda _, name: (listener, (name,))),
            RDS: _Remembered(self._route),
            CDS: _Remembered(self._cluster),
        }

    def put_catalog(
        self, catalog: Catalog, changed: Iterable[ServiceRef] | None = None
    ) -> Mapping[str, frozenset[str]]:
        """Take another catalog and which Services have changed, None for all; give the names that may be others now."""
        refs = self._catalog.services.keys() | catalog.services.keys() if changed is None else tuple(changed)
        before, self._catalog = self._catalog, catalog
        found = [each.services[ref] for each in (before, catalog) for ref in refs if ref in each.services]
        return {
            RDS: frozenset(name for one in found for name in names_of(one, self._cluster_domain)),
            CDS: frozenset(resource_name(one.ref, port.number) for one in found for port in one.ports),
        }

    def _route(self, client: Identity, name: str) -> _Recipe:
        dialled = parse(name, client.namespace, self._cluster_domain)
        if dialled is None:
            return no_route, (name,)
        meant = meaning(dialled, client.namespace, self._catalog)
        return route, (name, meant.cluster, meant.policy.retry, meant.policy.max_timeout)

    def _cluster(self, client: Identity, name: str) -> _Recipe:
        return cluster, (name, self._policy(client, name).lb_policy)

    def _policy(self, client: Identity, name: str) -> Policy:
        ref, number = parse_name(name) or (None, 0)
        service = self._catalog.services.get(ref) if ref else None
        return policy(service, number) if service and visible(service, client.namespace) else Policy()


_Recipe = tuple[Callable[..., Resource], tuple[object, ...]]
"""What makes a resource, and of what: the same gives the same."""


class _Remembered:
    """A source that makes each resource once."""

    def __init__(self, recipe: Callable[[Identity, str], _Recipe]) -> None:
        self._recipe = recipe
        self._made: Memory[_Recipe, Resource] = Memory(_MOST)

    def get(self, client: Identity, name: str) -> Resource:
        recipe = self._recipe(client, name)
        found = self._made.get(recipe)
        if found is None:
            make, of = recipe
            found = make(*of)
            self._made.put(recipe, found)
        return found
