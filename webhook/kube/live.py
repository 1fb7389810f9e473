"""One workload of a cluster as it is now, with its pods and with what they see: read, never changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from webhook.core import names
from webhook.core.model import JsonObject
from webhook.kube import resources
from webhook.kube.errors import Forbidden, NotFound
from webhook.kube.resources import Resource

_REPLICATION_CONTROLLERS: Final = Resource("v1", "replicationcontrollers", "ReplicationController")
_KINDS: Final = {
    resource.kind: resource
    for resource in (
        resources.PODS,
        _REPLICATION_CONTROLLERS,
        resources.DEPLOYMENTS,
        resources.STATEFUL_SETS,
        resources.DAEMON_SETS,
        resources.REPLICA_SETS,
        resources.JOBS,
        resources.CRON_JOBS,
    )
}
_CONFIGURATION: Final = "evenkeel"
_JOB_NAME: Final = "batch.kubernetes.io/job-name"
_ENDED: Final = ("Succeeded", "Failed")


class Reader(Protocol):
    """As much of `webhook.kube.api.Api` as is needed here."""

    async def get(self, path: str, **params: Any) -> Any:
        """Read one object; raises a ClusterError."""

    async def list(self, path: str, *, limit: int = 500, **params: Any) -> Any:
        """Read a collection, all pages of it; raises a ClusterError."""


@dataclass(frozen=True, slots=True)
class Live:
    """What was found."""

    document: JsonObject
    """The workload."""
    pods: tuple[JsonObject, ...]
    """Those of its pods that have not ended."""
    objects: tuple[JsonObject, ...]
    """Its Namespace, the Services that its pods may see, their EndpointSlices, and our webhook configuration."""
    notes: tuple[str, ...] = ()
    """What could not be looked at."""


async def read_live(api: Reader, kind: str, namespace: str, name: str) -> Live | None:
    """Read a workload; None where there is none. Raises a ClusterError where the cluster does not tell."""
    try:
        document = await api.get(_KINDS[kind].path(namespace, name))
    except NotFound:
        return None
    notes: list[str] = []
    services = await _services(api, namespace, notes)
    slices = [one for place in _with_named_ports(services, namespace) for one in await _slices(api, place)]
    spaces = await _namespace(api, namespace, notes)
    pods = [pod for pod in await _pods(api, document, namespace) if _runs(pod)]
    # Only where somebody asks for pushed endpoints does it matter that it could not be looked at.
    asked = any(names.DISCOVERY in str(each) for each in (document, *spaces))
    configuration = await _configuration(api, notes if asked else [])
    return Live(document, tuple(pods), (*spaces, *services, *slices, *configuration), tuple(notes))


async def _namespace(api: Reader, namespace: str, notes: list[str]) -> list[JsonObject]:
    try:
        return [await api.get(resources.NAMESPACES.path(name=namespace))]
    except Forbidden as error:
        notes.append(f"the Namespace's labels are not known: {error}")
        return []


async def _configuration(api: Reader, notes: list[str]) -> list[JsonObject]:
    """Give what says whom sidecars trust; who may not read it hears so."""
    try:
        return [await api.get(resources.MUTATING_WEBHOOKS.path(name=_CONFIGURATION))]
    except NotFound:
        return []
    except Forbidden as error:
        notes.append(f"whether endpoints can be pushed is not known: {error}")
        return []


async def _services(api: Reader, namespace: str, notes: list[str]) -> list[JsonObject]:
    try:
        found = await api.list(resources.SERVICES.path())
    except Forbidden as error:
        notes.append(f"Services that other namespaces export are not known: {error}")
        found = await api.list(resources.SERVICES.path(namespace))
    services: list[JsonObject] = list(found.items)
    return [one for one in services if one["metadata"].get("namespace") == namespace or _exported(one)]


def _exported(service: JsonObject) -> bool:
    return names.EXPORT_TO in (service["metadata"].get("annotations") or {})


def _with_named_ports(services: Sequence[JsonObject], namespace: str) -> list[str]:
    """Give the namespaces whose EndpointSlices must be known: those with Services that name a target port."""
    found = {
        str(service["metadata"].get("namespace") or namespace)
        for service in services
        for port in service["spec"].get("ports") or ()
        if isinstance(port.get("targetPort"), str)
    }
    return sorted(found)


async def _slices(api: Reader, namespace: str) -> Sequence[JsonObject]:
    found: Sequence[JsonObject] = (await api.list(resources.ENDPOINT_SLICES.path(namespace))).items
    return found


async def _pods(api: Reader, document: JsonObject, namespace: str) -> Sequence[JsonObject]:
    if document["kind"] == "Pod":
        return [document]
    if document["kind"] == "CronJob":
        selector = await _of_jobs(api, document, namespace)
    else:
        selector = ",".join(_terms(document["spec"].get("selector") or {}))
    if not selector:
        return []
    found: Sequence[JsonObject] = (await api.list(resources.PODS.path(namespace), labelSelector=selector)).items
    return found


async def _of_jobs(api: Reader, cron_job: JsonObject, namespace: str) -> str:
    """Give the selector of all pods of a CronJob's Jobs; empty where it has none."""
    uid = cron_job["metadata"].get("uid")
    jobs = (await api.list(resources.JOBS.path(namespace))).items
    of_it = [
        str(job["metadata"]["name"])
        for job in jobs
        if any(owner.get("uid") == uid for owner in job["metadata"].get("ownerReferences") or ())
    ]
    return f"{_JOB_NAME} in ({','.join(sorted(of_it))})" if of_it else ""


def _terms(selector: Mapping[str, Any]) -> Iterator[str]:
    """Write a LabelSelector, or the plain map of a ReplicationController, as the API's parameter."""
    labels = selector.get("matchLabels", {} if "matchExpressions" in selector else selector)
    yield from (f"{key}={value}" for key, value in sorted((labels or {}).items()))
    for expression in selector.get("matchExpressions") or ():
        key, values = expression["key"], f"({','.join(expression.get('values') or ())})"
        match expression["operator"]:
            case "In":
                yield f"{key} in {values}"
            case "NotIn":
                yield f"{key} notin {values}"
            case "Exists":
                yield str(key)
            case "DoesNotExist":
                yield f"!{key}"


def _runs(pod: JsonObject) -> bool:
    return (pod.get("status") or {}).get("phase") not in _ENDED and not pod["metadata"].get("deletionTimestamp")
