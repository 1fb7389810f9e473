"""Which QoS class Kubernetes gives a Pod, written from its rules and not from ours.

https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

_COUNTED = ("cpu", "memory")
_SUFFIXES = {"m": Decimal("0.001"), "k": Decimal(1000), "M": Decimal(10**6), "G": Decimal(10**9)} | {
    f"{letter}i": Decimal(1024**power) for power, letter in enumerate("KMGT", start=1)
}


def qos_class(pod: Any) -> str:
    """Give Guaranteed, Burstable or BestEffort."""
    spec = pod["spec"]
    whole = spec.get("resources") or {}
    if any(name in (whole.get(part) or {}) for part in ("requests", "limits") for name in _COUNTED):
        holders = [whole]
    else:
        containers = [*spec["containers"], *(spec.get("initContainers") or [])]
        holders = [container.get("resources") or {} for container in containers]
    amounts = [_amounts(holder) for holder in holders]
    if not any(requests or limits for requests, limits in amounts):
        return "BestEffort"
    fixed = all(set(limits) == set(_COUNTED) and requests == limits for requests, limits in amounts)
    return "Guaranteed" if fixed else "Burstable"


def _amounts(resources: Any) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Give requests and limits above zero; a request that is not said is its limit, as the API server sets it."""
    limits = {name: _number(value) for name, value in (resources.get("limits") or {}).items() if name in _COUNTED}
    said = {name: _number(value) for name, value in (resources.get("requests") or {}).items() if name in _COUNTED}
    requests = {**limits, **said}
    return ({name: n for name, n in requests.items() if n > 0}, {name: n for name, n in limits.items() if n > 0})


def _number(value: Any) -> Decimal:
    text = str(value)
    suffix = next((each for each in sorted(_SUFFIXES, key=len, reverse=True) if text.endswith(each)), "")
    return Decimal(text.removesuffix(suffix)) * _SUFFIXES.get(suffix, Decimal(1))
