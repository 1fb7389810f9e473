"""CPU and memory of the sidecar: always set, merged key by key, and never changing the pod's QoS class.

https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
"""

from __future__ import annotations

from typing import Final

from webhook.core import names
from webhook.core.model import JsonObject, Overrides, Resources, SidecarSettings
from webhook.core.pod import Pod
from webhook.core.quantity import positive, quantity, same

_COUNTED: Final = ("cpu", "memory")


def has_pod_level_resources(pod: Pod) -> bool:
    """Say whether the Pod sets requests or limits for itself as a whole."""
    resources = pod.spec.get("resources") or {}
    return bool(resources.get("requests") or resources.get("limits"))


def is_guaranteed(pod: Pod) -> bool:
    """Say whether the Pod, without our sidecar, is of QoS class Guaranteed."""
    return all(_is_fixed(container) for container in pod.all_containers() if container["name"] != names.SIDECAR)


def _is_fixed(container: JsonObject) -> bool:
    resources = container.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    return all(
        positive(limits.get(name)) and (name not in requests or same(requests[name], limits[name])) for name in _COUNTED
    )


def sidecar_resources(
    pod: Pod, overrides: Overrides, settings: SidecarSettings
) -> tuple[Resources | None, tuple[str, ...]]:
    """Give the sidecar's requests and limits, and what in the annotations cannot be.

    None where the pod has pod-level resources: there the sidecar shares them.
    """
    if has_pod_level_resources(pod):
        return None, ()
    guaranteed = is_guaranteed(pod)
    usual = settings.resources
    cpu = (settings.guaranteed_cpu,) * 2 if guaranteed else (usual.cpu_request, usual.cpu_limit)
    memory = (usual.memory_limit,) * 2 if guaranteed else (usual.memory_request, usual.memory_limit)
    problems = [
        *_clash("cpu", overrides.cpu_request, overrides.cpu_limit, guaranteed),
        *_clash("memory", overrides.memory_request, overrides.memory_limit, guaranteed),
    ]
    cpu_request, cpu_limit = _merge(overrides.cpu_request, overrides.cpu_limit, *cpu, guaranteed=guaranteed)
    memory_request, memory_limit = _merge(
        overrides.memory_request, overrides.memory_limit, *memory, guaranteed=guaranteed
    )
    return Resources(cpu_request, cpu_limit, memory_request, memory_limit), tuple(problems)


def _clash(name: str, request: str | None, limit: str | None, guaranteed: bool) -> list[str]:
    if request is None or limit is None:
        return []
    what = f"annotations {names.DOMAIN}/proxy-{name}-request={request} and -limit={limit}"
    if quantity(request) > quantity(limit):
        return [f"{what}: a request above its limit cannot be; accepted: request <= limit"]
    if guaranteed and not same(request, limit):
        return [f"{what}: the Pod is of QoS class Guaranteed and would no longer be; accepted: request = limit"]
    return []


def _merge(
    request: str | None, limit: str | None, usual_request: str, usual_limit: str, *, guaranteed: bool
) -> tuple[str, str]:
    """Let one annotation change its own key, and the other key only where both could not stand together."""
    if guaranteed:
        both = limit or request or usual_limit
        return both, both
    if request is None:
        request = limit if limit and quantity(limit) < quantity(usual_request) else usual_request
    if limit is None:
        limit = request if quantity(request) > quantity(usual_limit) else usual_limit
    return request, limit
