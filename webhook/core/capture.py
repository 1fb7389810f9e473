"""Names of Services whose calls go through the sidecar: hostAliases lead to loopback addresses where it listens.

A name moves as a whole, so every port of its Service is listened on: gRPC is balanced, all else passes through. What
could break an app is left alone, with the reason. No call can come back to where it went out: every cluster asks the
DNS for a name with a trailing dot, which passes by /etc/hosts; and what would is not let in by the listener.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from webhook.core import names
from webhook.core.catalog import Catalog
from webhook.core.dialled import dialled_ports, forbidden_ports, why_unfit
from webhook.core.model import (
    DiscoveryMode,
    JsonObject,
    Service,
    ServiceRef,
    SidecarSettings,
    Upstream,
)
from webhook.core.pod import Pod, served_ports
from webhook.core.view import View

_FIRST: Final = int(IPv4Address("127.64.0.0"))
_ADDRESSES: Final = 2**22
"""127.64.0.0/10: loopback on every Linux, and used by nobody else."""
_LOCALHOST: Final = "localhost"
_TAKES_PUSHING: Final = f"it is not headless: that takes {names.DISCOVERY}: {DiscoveryMode.XDS}"
_NAMES: Final = 3
"""By which every namespace may call a Service; its own also by the bare one."""


@dataclass(frozen=True, slots=True)
class Listen:
    """One port of a captured name."""

    port: int
    """What the app dials."""
    upstream: Upstream
    """Where it goes."""
    grpc: bool
    """Whether calls are balanced; else connections pass through."""


@dataclass(frozen=True, slots=True)
class Capture:
    """A Service whose names lead to the sidecar."""

    service: ServiceRef
    address: str
    hostnames: tuple[str, ...]
    listens: tuple[Listen, ...]

    @property
    def host_alias(self) -> JsonObject:
        """Give the entry of `spec.hostAliases`."""
        return {"ip": self.address, "hostnames": list(self.hostnames)}


@dataclass(frozen=True, slots=True)
class Captures:
    """What a Pod captures, and what it does not although somebody asked for it."""

    captured: tuple[Capture, ...] = ()
    left: tuple[tuple[ServiceRef, str], ...] = ()
    """Services whose names stay as they are, and why."""


def service_hostnames(ref: ServiceRef, namespace: str, cluster_domain: str) -> tuple[str, ...]:
    """Give every name by which pods of a namespace may call a Service; per-pod names are none of them."""
    full = (str(ref), f"{ref}.svc", f"{ref}.svc.{cluster_domain}")
    return (ref.name, *full) if ref.namespace == namespace else full


def find_captures(pod: Pod, catalog: Catalog, view: View, settings: SidecarSettings, *, wish: bool | None) -> Captures:
    """Say which names a new Pod captures.

    `wish` is the Pod's or its Namespace's word; without one the Service's, then the operator's. Only Services with a
    declared gRPC port that the view has; a Pod that brings aliases of ours along keeps their addresses.
    """
    before = carried_addresses(pod)
    kept = _kept(pod, catalog, view, before, settings)
    wished, beyond = _wished(view, settings, wish=wish)
    if not wished and not beyond:
        return Captures(kept)
    places = _Places(pod, catalog, settings)
    captured, left = [], [(service.ref, _TAKES_PUSHING) for service in beyond]
    for service in wished:
        if service.ref in before:
            continue
        hostnames = service_hostnames(service.ref, pod.namespace, settings.cluster_domain)
        if why := why_unfit(service, settings) or places.why_not(service, hostnames):
            left.append((service.ref, why))
        else:
            address = places.address(service.ref)
            captured.append(Capture(service.ref, address, hostnames, _listens(service, view)))
    return Captures((*kept, *captured), tuple(left))


def keep_captures(pod: Pod, catalog: Catalog, view: View, settings: SidecarSettings) -> tuple[Capture, ...]:
    """Say what a live Pod's sidecar listens on: its aliases stay for life, whatever becomes of their Services."""
    return _kept(pod, catalog, view, carried_addresses(pod), settings)


def not_carried(pod: Pod, captures: Captures) -> tuple[ServiceRef, ...]:
    """Give what a live Pod has no aliases for although a new one would: it was created before they were asked for."""
    carried = carried_addresses(pod)
    return tuple(each.service for each in captures.captured if each.service not in carried)


def carried_addresses(pod: Pod) -> Mapping[ServiceRef, str]:
    """Read back from a Pod's hostAliases which names it captures."""
    found = {}
    for alias in pod.host_aliases:
        ref = _captured_by(alias)
        if ref is not None:
            found[ref] = alias["ip"]
    return found


def is_our_alias(alias: JsonObject) -> bool:
    """Say whether an entry of `spec.hostAliases` is one that we once added."""
    return _captured_by(alias) is not None


def _captured_by(alias: JsonObject) -> ServiceRef | None:
    hostnames = alias.get("hostnames")
    if not _is_our_address(alias.get("ip")) or not isinstance(hostnames, list) or len(hostnames) < _NAMES:
        return None
    dotted, short, full = map(str, hostnames[-_NAMES:])
    name, _, namespace = dotted.partition(".")
    same = short == f"{dotted}.svc" and full.startswith(f"{short}.") and hostnames[:-_NAMES] in ([], [name])
    return ServiceRef(namespace, name) if same else None


def _is_our_address(text: object) -> bool:
    try:
        return isinstance(text, str) and _FIRST <= int(IPv4Address(text)) < _FIRST + _ADDRESSES
    except ValueError:
        return False


def _wished(view: View, settings: SidecarSettings, *, wish: bool | None) -> tuple[Sequence[Service], Sequence[Service]]:
    """Give the Services whose names are to be captured, and those that would be if their endpoints were pushed."""
    if wish is False:
        return (), ()
    everybody = wish or settings.capture
    asked = view.services if everybody else view.asking
    beyond = [each for each in view.only_pushed if (each.capture is not False if everybody else each.capture)]
    return [each for each in asked if each.capture is not False], beyond


class _Places:
    """What is taken in a Pod: ports that the app may serve, names and addresses."""

    def __init__(self, pod: Pod, catalog: Catalog, settings: SidecarSettings) -> None:
        selecting = (service for service in catalog.own(pod.namespace) if service.selects(pod.labels))
        self._ports = {
            **dict.fromkeys(_everywhere(settings), "the sidecar itself listens on port {}"),
            **{
                port: f"Service {service.ref}, which selects the pod, targets port {{}}"
                for service in selecting
                for port in service.target_ports
            },
            **dict.fromkeys(served_ports(pod), "the pod itself serves port {}"),
        }
        metadata = pod.document.get("metadata") or {}
        own_names = {str(each) for each in (metadata.get("name"), pod.spec.get("hostname")) if each}
        self._names = {str(name) for alias in pod.host_aliases for name in alias.get("hostnames") or ()} | own_names
        self._addresses = {str(alias.get("ip")) for alias in pod.host_aliases}

    def why_not(self, service: Service, hostnames: tuple[str, ...]) -> str:
        """Say what is in the way of capturing a Service's names, or nothing."""
        if service.ref.name == _LOCALHOST:
            return "its name means the pod itself"
        if taken := [name for name in hostnames if name in self._names]:
            return f"the pod gives the name {taken[0]} a meaning of its own"
        for port in dialled_ports(service):
            if port in self._ports:
                return self._ports[port].format(port) + ", and two cannot"
        return ""

    def address(self, ref: ServiceRef) -> str:
        """Give a Service's loopback address: always the same, unless another one of this Pod has it."""
        at = int.from_bytes(hashlib.sha256(str(ref).encode()).digest()[:4]) % _ADDRESSES
        while (text := str(IPv4Address(_FIRST + at))) in self._addresses:
            at = (at + 1) % _ADDRESSES
        self._addresses.add(text)
        return text


def _everywhere(settings: SidecarSettings) -> tuple[int, ...]:
    """Give the sidecar's ports on all addresses; the others are on 127.0.0.1, which is no name's."""
    return (settings.ports.ingress, settings.ports.probe)


def _kept(
    pod: Pod, catalog: Catalog, view: View, before: Mapping[ServiceRef, str], settings: SidecarSettings
) -> tuple[Capture, ...]:
    """Give what a Pod's own aliases capture: a Service that is gone has no ports, and nobody listens any more."""
    if not before:
        return ()
    seen = {service.ref: service for service in view.services}
    # What another Service targets here is no matter: it could take a name away from a Pod that has had it all along.
    serves = {*served_ports(pod), *_everywhere(settings), *forbidden_ports(settings)}
    found = []
    for ref, address in before.items():
        service = seen.get(ref) or catalog.services.get(ref)
        listens = _listens(service, view) if service is not None else ()
        own = tuple(each for each in listens if each.port not in serves)
        found.append(Capture(ref, address, service_hostnames(ref, pod.namespace, settings.cluster_domain), own))
    return tuple(found)


def _listens(service: Service, view: View) -> tuple[Listen, ...]:
    # A live Pod's Service may have got an address since: what was called as gRPC still is, at that address.
    offered = service.upstreams or service.pushed
    balanced = {
        upstream.service_port: upstream
        for upstream in offered
        if upstream.declared and (view.has(upstream) or offered is service.pushed) and not service.unfit
    }
    others = {port.number: _passing(service, port.number, port.target) for port in service.ports}
    return tuple(
        Listen(dialled, balanced.get(number) or others[number], grpc=number in balanced)
        for dialled, number in sorted(dialled_ports(service).items())
    )


def _passing(service: Service, number: int, target: int | None) -> Upstream:
    port = target if service.headless and target is not None else number
    unfit = bool(service.unfit)
    return Upstream(service.ref, number, port, None, declared=False, headless=service.headless, direct=unfit)
