"""A Lease as a candidate reads and writes it: pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from webhook.kube.resources import LEASES

Json = dict[str, Any]

LEASE_SECONDS: Final = 15
_RELEASED_SECONDS: Final = 1
"""What a Lease that was given back says of its length; the API server accepts no zero."""


def new_lease(namespace: str, name: str, holder: str, now: datetime) -> Json:
    """Make the Lease that nobody has made before."""
    return {
        "apiVersion": LEASES.api_version,
        "kind": LEASES.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": _spec(holder, LEASE_SECONDS, acquired=_time(now), renewed=_time(now), transitions=0),
    }


def held(lease: Json, holder: str, now: datetime) -> Json:
    """Give the Lease as held by somebody from now on; a new holder is one more transition."""
    spec = lease.get("spec") or {}
    ours = spec.get("holderIdentity") == holder
    acquired = (spec.get("acquireTime") if ours else None) or _time(now)
    transitions = int(spec.get("leaseTransitions") or 0) + (0 if ours else 1)
    renewed = _spec(holder, LEASE_SECONDS, acquired=acquired, renewed=_time(now), transitions=transitions)
    return {**lease, "spec": {**spec, **renewed}}


def released(lease: Json, now: datetime) -> Json:
    """Give the Lease as nobody's, so that the next one need not wait."""
    spec = lease.get("spec") or {}
    transitions = int(spec.get("leaseTransitions") or 0)
    empty = _spec("", _RELEASED_SECONDS, acquired=_time(now), renewed=_time(now), transitions=transitions)
    return {**lease, "spec": {**spec, **empty}}


def holder_of(lease: Json) -> str:
    """Give who holds it; empty for nobody."""
    return str((lease.get("spec") or {}).get("holderIdentity") or "")


def seconds_of(lease: Json) -> float:
    """Give for how long its holder may be silent."""
    return float((lease.get("spec") or {}).get("leaseDurationSeconds") or LEASE_SECONDS)


def _spec(holder: str, seconds: int, *, acquired: str, renewed: str, transitions: int) -> Json:
    return {
        "holderIdentity": holder,
        "leaseDurationSeconds": seconds,
        "acquireTime": acquired,
        "renewTime": renewed,
        "leaseTransitions": transitions,
    }


def _time(now: datetime) -> str:
    """Write a time in UTC as the API server's MicroTime wants it."""
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
