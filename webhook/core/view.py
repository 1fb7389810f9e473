"""What one Pod sees of the catalog, and where its calls go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from webhook.core.catalog import Catalog
from webhook.core.model import DiscoveryMode, Service, ServiceRef, Upstream, UpstreamRef


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
    whole: View | None = None
    """Where this is a part that fits: all that the pods see, so that nobody gains by what was left out."""
    only_pushed: tuple[Service, ...] = ()
    """Services that would be seen too if endpoints were pushed."""

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """Give all, the namespace's own first."""
        return (*self.own, *self.exported)

    @cached_property
    def asking(self) -> tuple[Service, ...]:
        """Give those that ask by themselves for their names to be captured."""
        return tuple(service for service in self.services if service.capture)

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
        if self.whole is not None:
            claims = self.whole.by_path.items()
            return {path: target for path, target in claims if isinstance(target, Ambiguous) or self.has(target)}
        return {**_claims(self.exported), **_claims(self.own)}

    @cached_property
    def by_likelihood(self) -> tuple[tuple[Service, ...], ...]:
        """Give the services in groups: own before exported, in each the declared before the undeclared.

        Last in each are those that are not headless: often they stand beside a headless one for the same pods.
        """
        return tuple(
            tuple(service for service in group if (service.headless, service.declared) == kind)
            for group in (self.own, self.exported)
            for kind in ((True, True), (True, False), (False, True))
        )

    def same(self, other: View) -> bool:
        """Say whether another one has the same content."""
        return (self.own, self.exported, self.only_pushed) == (other.own, other.exported, other.only_pushed)

    def cut(self, most: int, first: UpstreamRef | None) -> View:
        """Keep at most so many upstreams: exported ones go first, then undeclared ones, `first` never by choice.

        A Service that is too large for what is left is passed over: it takes no other's place.
        """
        chosen = self.find(first) if first is not None else None
        order = [service for group in (self.own, self.exported) for service in sorted(group, key=_undeclared)]
        kept = set()
        for service in sorted(order, key=lambda service: chosen is None or service.ref != chosen.service):
            if len(service.upstreams) <= most:
                most -= len(service.upstreams)
                kept.add(service.ref)
        own, exported = (tuple(one for one in group if one.ref in kept) for group in (self.own, self.exported))
        return View(self.namespace, own, exported, whole=self, only_pushed=self.only_pushed)

    def has(self, upstream: Upstream) -> bool:
        """Say whether an upstream is one of these."""
        return upstream in self._kept

    @cached_property
    def _kept(self) -> frozenset[Upstream]:
        return frozenset(upstream for service in self.services for upstream in service.upstreams)

    def find(self, reference: UpstreamRef) -> Upstream | None:
        """Give the upstream that a reference means, or None."""
        return next(_matching(self.services, reference, self.namespace), None)


def _undeclared(service: Service) -> bool:
    return not service.declared


def _claims(services: Iterable[Service]) -> dict[str, Upstream | Ambiguous]:
    claims: defaultdict[str, list[Service]] = defaultdict(list)
    for service in services:
        for grpc_service in service.grpc_services:
            claims[grpc_service].append(service)
    return {path: _only(claimants) for path, claimants in sorted(claims.items())}


def _only(services: Sequence[Service]) -> Upstream | Ambiguous:
    if len(services) == 1:
        return services[0].upstreams[0]
    return Ambiguous(tuple(str(service.ref) for service in services))


def make_view(
    catalog: Catalog,
    namespace: str,
    references: tuple[UpstreamRef, ...] | None,
    mode: DiscoveryMode = DiscoveryMode.DNS,
) -> tuple[View, tuple[UpstreamRef, ...]]:
    """Say what pods of a namespace see, of that only what they ask for.

    Returns the view, and those references that nothing answers (yet).
    """
    every = catalog.own(namespace), catalog.exported(namespace)
    own, exported = (tuple(_offered(group, mode)) for group in every)
    if references is None:
        pushed = (service for group in every for service in group if service.pushed)
        return View(namespace, own, exported, only_pushed=tuple(pushed) if mode is DiscoveryMode.DNS else ()), ()
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


def _offered(services: Iterable[Service], mode: DiscoveryMode) -> Iterator[Service]:
    """Give the Services that have upstreams: where endpoints are pushed, also those that are not headless."""
    for service in services:
        if service.pushed and mode is DiscoveryMode.XDS:
            yield replace(service, upstreams=service.pushed)
        elif service.upstreams:
            yield service


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
    target = _likely(view.whole or view, labels)
    return None if isinstance(target, Upstream) and not view.has(target) else target


def _likely(view: View, labels: Mapping[str, str]) -> Upstream | Ambiguous | None:
    own, exported = view.by_likelihood[:3], view.by_likelihood[3:]
    others = ([service for service in group if not service.selects(labels)] for group in own)
    return next((_only(candidates) for candidates in chain(others, exported) if candidates), None)
