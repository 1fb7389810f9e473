"""What one Pod sees of the catalog, and where its calls go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from webhook.core.catalog import Catalog
from webhook.core.model import Service, ServiceRef, Upstream, UpstreamRef


@dataclass(frozen=True)
class Ambiguous:
    """Several Services are meant equally; the call is answered with their names."""

    claimants: tuple[str, ...]


@dataclass(frozen=True)
class Unknown:
    """The Pod names a default upstream that does not exist (yet)."""

    reference: str


Target = Upstream | Ambiguous | Unknown | None
"""Where a kind of call goes; None: nowhere, nobody offers it."""


@dataclass(frozen=True, eq=False)
class View:
    """The Services that pods of one namespace see, only those with upstreams; compared by identity."""

    namespace: str
    own: tuple[Service, ...]
    exported: tuple[Service, ...]

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """Give all, the namespace's own first."""
        return (*self.own, *self.exported)

    @cached_property
    def upstreams(self) -> tuple[Upstream, ...]:
        """Give every upstream, one for each cluster."""
        first: dict[str, Upstream] = {}
        for service in self.services:
            for upstream in service.upstreams:
                first.setdefault(upstream.cluster, upstream)
        return tuple(first.values())

    @cached_property
    def by_path(self) -> Mapping[str, Upstream | Ambiguous]:
        """Map each declared gRPC service to its upstream; another namespace never takes one away."""
        return {**_claims(self.exported), **_claims(self.own)}

    def cut(self, most: int) -> View:
        """Keep at most so many Services: exported ones go first, then undeclared ones."""
        kept = sorted(self.own, key=lambda service: not service.declared)[:most]
        exported = sorted(self.exported, key=lambda service: not service.declared)[: most - len(kept)]
        return View(self.namespace, tuple(sorted(kept, key=_name)), tuple(sorted(exported, key=_name)))

    def find(self, reference: UpstreamRef) -> Upstream | None:
        """Give the upstream that a reference means, or None."""
        return next(_matching(self.services, reference, self.namespace), None)


def _name(service: Service) -> tuple[str, str]:
    return service.ref


def _claims(services: Iterable[Service]) -> dict[str, Upstream | Ambiguous]:
    claims: defaultdict[str, list[Service]] = defaultdict(list)
    for service in services:
        for grpc_service in service.grpc_services:
            claims[grpc_service].append(service)
    return {path: _only(claimants) for path, claimants in sorted(claims.items())}


def _only(services: list[Service]) -> Upstream | Ambiguous:
    if len(services) == 1:
        return services[0].upstreams[0]
    return Ambiguous(tuple(str(service.ref) for service in services))


def make_view(
    catalog: Catalog, namespace: str, references: tuple[UpstreamRef, ...] | None
) -> tuple[View, tuple[UpstreamRef, ...]]:
    """Say what pods of a namespace see, of that only what they ask for.

    Returns the view, and those references that nothing answers (yet).
    """
    own = tuple(service for service in catalog.own(namespace) if service.upstreams)
    exported = tuple(service for service in catalog.exported(namespace) if service.upstreams)
    if references is None:
        return View(namespace, own, exported), ()
    wanted: defaultdict[ServiceRef, list[Upstream]] = defaultdict(list)
    missing = []
    for reference in references:
        matching = list(_matching((*own, *exported), reference, namespace, everything=True))
        if not matching:
            missing.append(reference)
        for upstream in matching:
            wanted[upstream.service].append(upstream)
    own, exported = (tuple(_narrow(group, wanted)) for group in (own, exported))
    return View(namespace, own, exported), tuple(missing)


def _narrow(services: Iterable[Service], wanted: Mapping[ServiceRef, list[Upstream]]) -> Iterator[Service]:
    for service in services:
        if service.ref in wanted:
            kept = tuple(upstream for upstream in service.upstreams if upstream in wanted[service.ref])
            yield replace(service, upstreams=kept)


def _matching(
    services: Iterable[Service], reference: UpstreamRef, namespace: str, *, everything: bool = False
) -> Iterator[Upstream]:
    """Give the upstreams that a reference means: by Service port before target port or the port's name."""
    wanted = (reference.namespace or namespace, reference.name)
    for service in services:
        if service.ref != wanted:
            continue
        if reference.port is None:
            yield from service.upstreams if everything else service.upstreams[:1]
            continue
        for attribute in ("service_port", "port", "port_name"):
            found = [up for up in service.upstreams if str(getattr(up, attribute)) == reference.port]
            if found:
                yield from found[:1]
                break


def default_target(view: View, labels: Mapping[str, str], chosen: UpstreamRef | None) -> Target:
    """Say where a call goes whose authority is localhost and whose path nobody claims.

    The Pod's choice; else the only Service among those that do not select this pod: its own namespace before
    exported ones (another namespace never takes the place of an own Service), declared before undeclared.
    """
    if chosen is not None:
        return view.find(chosen) or Unknown(str(chosen))
    others = [service for service in view.own if not service.selects(labels)]
    for group in (others, view.exported):
        for declared in (True, False):
            candidates = [service for service in group if service.declared is declared]
            if candidates:
                return _only(candidates)
    return None
