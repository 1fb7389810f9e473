"""Endpoints as xDS has them: a ClusterLoadAssignment, ready to be sent."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final

from envoy.config.core.v3 import health_check_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from webhook.core.endpoints import Endpoint
from webhook.xds.source import Resource
from webhook.xds.wire import packed

_HEALTHY: Final = health_check_pb2.HealthStatus.Value("HEALTHY")
_OVERPROVISIONED: Final = 10_000
"""Percent: one endpoint in a hundred is enough to stay with."""
_DRAINING: Final = health_check_pb2.HealthStatus.Value("DRAINING")


def pack(message: Any) -> Resource:
    """Make a resource of a protobuf message; the same content gives the same bytes and the same version."""
    body = packed(message.DESCRIPTOR.full_name, message.SerializeToString(deterministic=True))
    return Resource(blake2b(body, digest_size=8).hexdigest(), body)


def load_assignment(name: str, endpoints: Sequence[Endpoint], zone: str = "") -> Resource:
    """Make the ClusterLoadAssignment of a name for clients in a zone; empty is for all alike.

    Every zone is a locality that weighs as many endpoints as it can give something new to, so that a client that heeds
    weights (gRPC does, Envoy is not told to) spreads over all endpoints evenly.
    """
    first = _suffices(endpoints, zone)
    localities: defaultdict[str, list[Endpoint]] = defaultdict(list)
    for endpoint in endpoints:
        localities[endpoint.zone].append(endpoint)
    groups = (_locality(each, localities[each], int(first and each != zone)) for each in sorted(localities))
    assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name=name, endpoints=groups)
    if not first:
        # Else Envoy sends some calls on to DNS, which knows no better, as soon as 3 of 10 endpoints do not answer.
        assignment.policy.overprovisioning_factor.value = _OVERPROVISIONED
    return pack(assignment)


def _suffices(endpoints: Iterable[Endpoint], zone: str) -> bool:
    """Say whether a zone can carry its own clients: it has its share of the healthy endpoints, rounded down."""
    healthy = Counter(endpoint.zone for endpoint in endpoints if not endpoint.draining)
    return bool(zone) and healthy[zone] >= max(1, healthy.total() // len(+healthy or " "))


def _locality(zone: str, endpoints: Sequence[Endpoint], priority: int) -> Any:
    weight = max(1, sum(not endpoint.draining for endpoint in endpoints))  # gRPC refuses a locality without one
    locality = endpoint_components_pb2.LocalityLbEndpoints(
        load_balancing_weight={"value": weight}, priority=priority, lb_endpoints=_members(endpoints)
    )
    locality.locality.zone = zone
    locality.locality.SetInParent()  # gRPC wants one even where nothing is known
    return locality


def _members(endpoints: Iterable[Endpoint]) -> Iterator[Any]:
    for endpoint in endpoints:
        member = endpoint_components_pb2.LbEndpoint(health_status=_DRAINING if endpoint.draining else _HEALTHY)
        socket = member.endpoint.address.socket_address
        socket.address, socket.port_value = endpoint.addresses[0], endpoint.port
        for other in endpoint.addresses[1:]:
            socket = member.endpoint.additional_addresses.add().address.socket_address
            socket.address, socket.port_value = other, endpoint.port
        yield member
