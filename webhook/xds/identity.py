"""Who a client of the control plane is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """A Pod, as its token proves it; what it may be told follows from its namespace."""

    namespace: str
    pod: str = ""
    """Empty where the token does not say."""
    node: str = ""
    """The Kubernetes node that it runs on; empty where not known."""
    zone: str = ""
    """That node's `topology.kubernetes.io/zone`; empty where not known."""
