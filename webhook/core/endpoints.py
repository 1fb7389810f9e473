"""Who answers for a Service: the endpoints of all its EndpointSlices, merged.

| conditions of an endpoint (null counts as the default in brackets) | it is |
| --- | --- |
| ready (true), terminating (false) not set | served |
| terminating, serving (what ready says) | draining: known, but gets nothing new |
| anything else | left out |
"""

from __future__ import annotations

import ipaddress
import sys
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, Final, NamedTuple

from webhook.core import names
from webhook.core.annotations import shown
from webhook.core.model import JsonObject, Problem, ServiceRef
from webhook.core.pod import is_port

_VERSIONS: Final = {"IPv4": 4, "IPv6": 6}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A pod, at one port."""

    addresses: tuple[str, ...]
    """The primary first; a pod with two stacks has a second one."""
    port: int
    zone: str
    """Empty where not known."""
    draining: bool
    """It still serves what it has begun."""


_Host = tuple[str, str, bool, str]
"""An endpoint of a slice, at all its ports: address, zone, whether it is draining, and the pod's uid or nothing.

A bare tuple: of a hundred thousand the garbage collector would have to walk anything else.
"""


class _Slice(NamedTuple):
    """What is kept of an EndpointSlice."""

    ref: ServiceRef
    ipv6: bool
    ports: tuple[tuple[str, int], ...]
    hosts: tuple[_Host, ...]


class EndpointBook:
    """Follows EndpointSlices as they come, change and go.

    Whatever came before, it says what a fresh list of the slices that there are would say.
    """

    def __init__(self) -> None:
        self._refs: dict[Hashable, ServiceRef] = {}
        self._slices: defaultdict[ServiceRef, dict[Hashable, _Slice]] = defaultdict(dict)
        self._problems: dict[Hashable, tuple[Problem, ...]] = {}

    def put(self, key: Hashable, document: JsonObject | None) -> frozenset[ServiceRef]:
        """Put an EndpointSlice in the place of the one known by a key; None takes that away.

        Returns the Services whose endpoints may be others now.
        """
        found, problems = (None, ()) if document is None else _read(document)
        if problems:
            self._problems[key] = problems
        else:
            self._problems.pop(key, None)
        known = self._take(key)
        if found is not None:
            self._refs[key] = found.ref
            self._slices[found.ref][key] = found
        if found == known:
            return frozenset()
        return frozenset(each.ref for each in (known, found) if each is not None)

    def endpoints(self, ref: ServiceRef, port_name: str) -> tuple[Endpoint, ...]:
        """Give the endpoints of a Service's port, by its name (empty where it has none), in a fixed order."""
        pods: defaultdict[tuple[int, str], list[tuple[bool, _Host]]] = defaultdict(list)
        for each in self._slices.get(ref, {}).values():
            for name, number in each.ports:
                if name == port_name:
                    for host in each.hosts:
                        pods[number, host[-1] or host[0]].append((each.ipv6, host))
        found = chain.from_iterable(_endpoints(number, hosts) for (number, _), hosts in pods.items())
        return tuple(_each_once(found))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Give what is wrong in slices and left out."""
        return tuple(
            sorted(chain.from_iterable(self._problems.values()), key=lambda one: (one.where, one.code, one.message))
        )

    def _take(self, key: Hashable) -> _Slice | None:
        ref = self._refs.pop(key, None)
        if ref is None:
            return None
        known = self._slices[ref].pop(key)
        if not self._slices[ref]:
            del self._slices[ref]
        return known


def _endpoints(port: int, hosts: Sequence[tuple[bool, _Host]]) -> list[Endpoint]:
    """Give what one pod stands for: one endpoint, with both its addresses where it has two stacks."""
    if len(hosts) == 1:
        address, zone, draining, _ = hosts[0][1]
        return [Endpoint((address,), port, zone, draining)]
    families: tuple[set[str], set[str]] = (set(), set())
    zone, draining = "", False
    for ipv6, (address, its_zone, leaves, _) in hosts:
        families[ipv6].add(address)
        zone = max(zone, its_zone)
        # Pods move between slices, so that for a moment two tell of one; what has begun to end does not turn back.
        draining = draining or leaves
    pairs = zip_longest(*map(sorted, families))
    return [Endpoint(tuple(each for each in pair if each is not None), port, zone, draining) for pair in pairs]


def _each_once(found: Iterable[Endpoint]) -> Iterator[Endpoint]:
    """Order endpoints and give each address once: a new pod's before that of an old one that leaves."""
    last = None
    for each in sorted(found, key=_place):
        if (each.addresses[0], each.port) != last:
            last = each.addresses[0], each.port
            yield each


def _place(endpoint: Endpoint) -> tuple[Any, ...]:
    return (endpoint.addresses[0], endpoint.port, endpoint.draining, endpoint.addresses, endpoint.zone)


class _Reader:
    """Reads one EndpointSlice, collecting what is wrong with it: of each kind the first, and how many there are."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._first: dict[str, str] = {}
        self._count: Counter[str] = Counter()

    def problem(self, code: str, message: str) -> None:
        self._first.setdefault(code, message)
        self._count[code] += 1

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(
            Problem(code, self._where, message if self._count[code] == 1 else f"{message} ({self._count[code]} such)")
            for code, message in self._first.items()
        )

    def ports(self, found: Any, *, needed: bool) -> Iterator[tuple[str, int]]:
        """Give the TCP ports. Of a Service that selects nothing a slice has none, which is as it should be."""
        ports = found if isinstance(found, list) else []
        if needed and not ports:
            self.problem("slice-without-ports", "has endpoints but no ports: nobody can be told of them")
        for port in ports:
            if not isinstance(port, dict) or not is_port(port.get("port")) or port.get("endPort") is not None:
                self.problem("bad-slice-port", f"{shown(str(port))} is not one port: left out")
            elif port.get("protocol") in (None, "TCP"):
                yield sys.intern(str(port.get("name") or "")), port["port"]

    def hosts(self, found: Any, version: int) -> Iterator[_Host]:
        """Give the endpoints that are to be told of."""
        for each in found if isinstance(found, list) else []:
            if not isinstance(each, dict):
                self.problem("malformed-slice", f"{shown(str(each))} is no endpoint: left out")
                continue
            draining = self._draining(each.get("conditions"))
            address = None if draining is None else self._address(each.get("addresses"), version)
            if draining is not None and address is not None:
                zone, target = each.get("zone"), each.get("targetRef")
                uid = target.get("uid") if isinstance(target, dict) else None
                yield address, sys.intern(str(zone or "")), draining, str(uid or "")

    def _draining(self, conditions: Any) -> bool | None:
        """Read conditions by the table above; None is left out."""
        held = {} if conditions is None else conditions
        if not isinstance(held, dict) or any(
            not isinstance(held.get(key), bool | None) for key in ("ready", "serving", "terminating")
        ):
            self.problem("bad-conditions", f"conditions {shown(str(conditions))}: left out")
            return None
        ready = held.get("ready") is not False
        if not held.get("terminating"):
            return False if ready else None
        serving = held.get("serving")
        return True if (ready if serving is None else serving) else None

    def _address(self, addresses: Any, version: int) -> str | None:
        """Give the first address, all of which are as good, in its usual form."""
        text = addresses[0] if isinstance(addresses, list) and addresses else None
        try:
            address = ipaddress.ip_address(text if isinstance(text, str) else "")
        except ValueError:
            self.problem("bad-address", f"{shown(str(text))} is no IP address: left out")
            return None
        meant = getattr(address, "ipv4_mapped", None) or address
        if address.version != version or getattr(address, "scope_id", None):
            self.problem("bad-address", f"{shown(str(text))} is not of the slice's addressType: left out")
        elif meant.is_loopback or meant.is_unspecified or meant.is_link_local or meant.is_multicast:
            self.problem("bad-address", f"{shown(str(text))} is nobody's address in a network: left out")
        else:
            return str(address)
        return None


def _read(document: JsonObject) -> tuple[_Slice | None, tuple[Problem, ...]]:
    """Read an EndpointSlice; None where it is no Service's. Never raises."""
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    labels = metadata.get("labels")
    service = labels.get(names.SLICE_SERVICE) if isinstance(labels, dict) else None
    namespace = metadata.get("namespace")
    if not isinstance(service, str) or not isinstance(namespace, str):
        return None, ()
    reader = _Reader(f"EndpointSlice {namespace}/{metadata.get('name')}")
    ref, version = ServiceRef(sys.intern(namespace), sys.intern(service)), _version(document)
    if version is None:
        reader.problem("bad-address-type", f"addressType {shown(str(document.get('addressType')))}: left out")
        return None, reader.problems
    hosts = tuple(sorted(reader.hosts(document.get("endpoints"), version)))
    ports = tuple(sorted(set(reader.ports(document.get("ports"), needed=bool(hosts)))))
    return _Slice(ref, version == _VERSIONS["IPv6"], ports, hosts), reader.problems


def _version(document: Mapping[str, Any]) -> int | None:
    kind = document.get("addressType")
    return _VERSIONS.get(kind) if isinstance(kind, str) else None
