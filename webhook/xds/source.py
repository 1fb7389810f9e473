"""What a control plane serves: resources of one type, by name, as one client may see them."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from webhook.xds.identity import Identity

_PREFIX: Final = "type.googleapis.com/envoy.config."
LDS: Final = f"{_PREFIX}listener.v3.Listener"
RDS: Final = f"{_PREFIX}route.v3.RouteConfiguration"
CDS: Final = f"{_PREFIX}cluster.v3.Cluster"
EDS: Final = f"{_PREFIX}endpoint.v3.ClusterLoadAssignment"

ORDER: Final = (CDS, EDS, LDS, RDS)
"""In which types are sent where several are due: what is referred to before what refers to it."""
WHOLE: Final = frozenset({LDS, CDS})
"""Types of which a state-of-the-world response has all that a client wants; what is missing does not exist."""


class Resource(NamedTuple):
    """One resource, ready to be sent."""

    version: str
    """By content, so that all replicas give the same; never empty."""
    body: bytes
    """A serialized google.protobuf.Any."""


class Source(Protocol):
    """Gives the resources of one type. It is asked whenever a client is told of a name, so it is quick."""

    def get(self, client: Identity, name: str) -> Resource | None:
        """Give a resource as a client may see it; None where for this client it does not exist.

        Must be the same until AdsServer.changed was told of the name.
        """
