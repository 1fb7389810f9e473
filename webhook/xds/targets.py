"""What a gRPC client dials as `xds:///NAME`, and which Service's port it means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from webhook.core.catalog import Catalog
from webhook.core.model import Policy, Retry, Service, ServiceRef
from webhook.xds.endpoint_source import resource_name, visible

_NAME: Final = re.compile(
    r"(?P<service>[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)"
    r"(?:\.(?P<namespace>[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)(?P<rest>\.svc(?:\.[^:]+)?)?)?"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_LARGEST_PORT: Final = 65535


class Dialled(NamedTuple):
    """A name that was dialled, taken apart."""

    ref: ServiceRef
    port: int | None
    """None where it has none."""


class Meant(NamedTuple):
    """What a name means now."""

    cluster: str
    """Also the name of its endpoints; one that never has any where the name means nothing."""
    policy: Policy


def parse(name: str, namespace: str, cluster_domain: str) -> Dialled | None:
    """Read `service[.namespace[.svc[.CLUSTER_DOMAIN]]][:port]` as a Pod of a namespace means it; None for all else."""
    found = _NAME.fullmatch(name)
    if found is None or found["rest"] not in {None, ".svc", f".svc.{cluster_domain}", f".svc.{cluster_domain}."}:
        return None
    port = int(found["port"]) if found["port"] else None
    if port is not None and port > _LARGEST_PORT:
        return None
    return Dialled(ServiceRef(found["namespace"] or namespace, found["service"]), port)


def meaning(dialled: Dialled, namespace: str, catalog: Catalog) -> Meant:
    """Say which cluster a name stands for, for clients of a namespace.

    A port is the Service's, else the one that its pods listen on, as in authorities. Without one it is that of the
    first upstream, or the only one. A Service that does not exist and one that may not be seen are the same: its
    endpoints are asked for, and there are none, so that calls fail at once until there are some.
    """
    service = catalog.services.get(dialled.ref)
    if service is None or not visible(service, namespace):
        return _nothing_yet(dialled)
    number = _default(service) if dialled.port is None else _own(service, dialled.port)
    if number is None:
        return _nothing_yet(dialled)
    return Meant(resource_name(service.ref, number), policy(service, number))


def policy(service: Service, number: int) -> Policy:
    """Give what a Service says about calls to one of its ports."""
    found = (upstream for upstream in (*service.upstreams, *service.pushed) if upstream.service_port == number)
    return next((upstream.policy for upstream in found), Policy())


def names_of(service: Service, cluster_domain: str) -> Iterator[str]:
    """Give every name by which a Service, with its ports, may be dialled."""
    ref = service.ref
    hosts = (ref.name, f"{ref}", f"{ref}.svc", f"{ref}.svc.{cluster_domain}", f"{ref}.svc.{cluster_domain}.")
    numbers = sorted({number for port in service.ports for number in (port.number, port.target) if number})
    for host in hosts:
        yield host
        yield from (f"{host}:{number}" for number in numbers)


def _nothing_yet(dialled: Dialled) -> Meant:
    ref, port = dialled
    # Nothing is gained by trying again, and the app should not wait for it.
    return Meant(str(ref) if port is None else resource_name(ref, port), Policy(retry=Retry.OFF))


def _default(service: Service) -> int | None:
    for upstream in (*service.upstreams, *service.pushed):
        return upstream.service_port
    return service.ports[0].number if len(service.ports) == 1 else None


def _own(service: Service, number: int) -> int | None:
    """Give the Service's port for a number in a name; None where it has no such port."""
    for port in service.ports:
        if port.number == number:
            return number
    return next((port.number for port in service.ports if port.target == number), None)
