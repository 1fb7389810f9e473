"""What a check-up knows of a cluster: each fact is gathered when first asked for, and only once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from webhook.check.once import Once
from webhook.check.place import CONFIGURATION, Place
from webhook.check.shipped import Permission
from webhook.core import names
from webhook.core.catalog import Catalog, build_catalog
from webhook.core.model import JsonObject, Namespace
from webhook.kube import resources
from webhook.kube.errors import ClusterError, NotFound
from webhook.kube.resources import Resource

Objects = tuple[JsonObject, ...]
_AT_ONCE: Final = 8
_MOST_NAMESPACES: Final = 20
"""With more labelled namespaces than this, one list of the whole cluster is cheaper than one for each."""
_ACCESS_REVIEWS: Final = Resource(
    "authorization.k8s.io/v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)
WORKLOADS: Final = (
    resources.DEPLOYMENTS,
    resources.STATEFUL_SETS,
    resources.DAEMON_SETS,
    resources.JOBS,
    resources.CRON_JOBS,
)


class _Version(Protocol):
    major: int
    minor: int
    git: str


class _Listing(Protocol):
    items: list[Any]


class _Answer(Protocol):
    object: Any
    warnings: tuple[str, ...]


class Cluster(Protocol):
    """As much of `webhook.kube.api.Api` as a check-up uses."""

    async def get(self, path: str, **params: Any) -> Any:
        """Read one object."""

    async def list(self, path: str, *, limit: int = 500, **params: Any) -> Any:
        """Read a collection, all pages of it."""

    async def create(self, path: str, body: Any, **params: Any) -> Any:
        """Create an object, or ask a question that is spelled as one."""

    async def version(self) -> Any:
        """Read the version of the API server."""


class Facts:
    """The cluster as it was found. A fact that cannot be had raises, the same every time it is asked for."""

    def __init__(self, api: Cluster, place: Place) -> None:
        self.api = api
        self.place = place
        self._once = Once()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def version(self) -> _Version:
        """Give the version of the API server."""
        found: _Version = await self._once.get("version", self.api.version)
        return found

    async def served(self, group_version: str) -> frozenset[str] | None:
        """Give the resources of an API group's version; None where the cluster does not serve it."""

        async def ask() -> frozenset[str] | None:
            try:
                found = await self.api.get(f"/apis/{group_version}")
            except NotFound:
                return None
            return frozenset(one["name"] for one in found.get("resources") or ())

        return await self._once.get(("served", group_version), ask)

    async def own(self, resource: Resource, name: str) -> JsonObject | None:
        """Give one object of our own namespace; None where there is none."""
        return await self.object(resource, name, self.place.namespace)

    async def object(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject | None:
        """Give one object; None where there is none."""

        async def ask() -> JsonObject | None:
            try:
                found: JsonObject = await self.api.get(resource.path(namespace, name))
            except NotFound:
                return None
            return found

        return await self._once.get((resource, name, namespace), ask)

    async def listed(self, resource: Resource, namespace: str | None = None, **params: Any) -> Objects:
        """Give the objects of a collection."""

        async def ask() -> Objects:
            async with self._slots:
                found: _Listing = await self.api.list(resource.path(namespace), **params)
            return tuple(found.items)

        return await self._once.get((resource, namespace, *sorted(params.items())), ask)

    async def namespaces(self) -> Mapping[str, Namespace]:
        """Give every Namespace by name."""
        return build_catalog(await self.listed(resources.NAMESPACES)).namespaces

    async def labelled(self) -> tuple[str, ...]:
        """Give the namespaces whose Pods are injected, by name."""
        found = (await self.namespaces()).values()
        return tuple(sorted(one.name for one in found if one.labels.get(names.INJECT) == names.ENABLED))

    async def services(self) -> Objects:
        """Give every Service: one namespace may see those of another."""
        return await self.listed(resources.SERVICES)

    async def catalog(self) -> Catalog:
        """Give what the webhook should know of Services and Namespaces."""

        async def ask() -> Catalog:
            parts = [await self.listed(one) for one in (resources.NAMESPACES, resources.ENDPOINT_SLICES)]
            configuration = await self._configuration()
            return build_catalog([*await self.services(), *parts[0], *parts[1], *configuration])

        return await self._once.get("catalog", ask)

    async def _configuration(self) -> Objects:
        """Give the webhook configuration, which says whom sidecars trust; none where it cannot be looked at."""
        try:
            found = await self.object(resources.MUTATING_WEBHOOKS, CONFIGURATION)
        except ClusterError:
            return ()
        return (found,) if found else ()

    async def in_labelled(self, *kinds: Resource) -> Objects:
        """Give the objects of some kinds in the labelled namespaces."""
        labelled = await self.labelled()
        everywhere = len(labelled) > _MOST_NAMESPACES
        where: Sequence[str | None] = [None] if everywhere else labelled
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._try(kind, namespace)) for kind in kinds for namespace in where]
        found = [task.result() for task in tasks]
        if trouble := next((one for one in found if isinstance(one, Exception)), None):
            raise trouble
        return tuple(
            one
            for many in found
            if not isinstance(many, Exception)
            for one in many
            if not everywhere or one["metadata"].get("namespace") in labelled
        )

    async def _try(self, kind: Resource, namespace: str | None) -> Objects | Exception:
        """List; what is raised is given back, so that it is told as itself and not as a group."""
        try:
            return await self.listed(kind, namespace)
        except Exception as error:  # noqa: BLE001 - raised again by whoever asked
            return error

    async def workloads(self) -> Objects:
        """Give the workloads of the labelled namespaces."""
        return await self.in_labelled(*WORKLOADS)

    async def pods(self) -> Objects:
        """Give the Pods of labelled namespaces, and those elsewhere that opted in, each once."""
        opted = await self.listed(resources.PODS, labelSelector=f"{names.INJECT}={names.ENABLED}")
        return _each_once([*await self.in_labelled(resources.PODS), *opted])

    async def injected(self) -> Objects:
        """Give the Pods that carry our label."""
        return await self.listed(resources.PODS, labelSelector=f"{names.INJECTED}={names.INJECTED_VALUE}")

    async def may_i(self, wanted: Permission) -> bool:
        """Say whether whoever runs the check may do something."""
        return await self._allowed(resources.SELF_SUBJECT_ACCESS_REVIEWS, {}, wanted)

    async def may(self, user: str, wanted: Permission) -> bool:
        """Say whether a ServiceAccount may do something."""
        groups = ["system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{self.place.namespace}"]
        return await self._allowed(_ACCESS_REVIEWS, {"user": user, "groups": groups}, wanted)

    async def _allowed(self, review: Resource, who: Mapping[str, Any], wanted: Permission) -> bool:
        async def ask() -> bool:
            resource, _, subresource = wanted.resource.partition("/")
            asked = {
                "verb": wanted.verb,
                "group": wanted.group,
                "resource": resource,
                "subresource": subresource,
                "namespace": wanted.namespace,
                "name": wanted.name,
            }
            spec = {**who, "resourceAttributes": {key: value for key, value in asked.items() if value}}
            body = {"apiVersion": review.api_version, "kind": review.kind, "spec": spec}
            answer: _Answer = await self.api.create(review.path(), body)
            return bool((answer.object.get("status") or {}).get("allowed"))

        return await self._once.get((review, str(who.get("user")), wanted), ask)


def _each_once(pods: Iterable[JsonObject]) -> Objects:
    by_name = {(one["metadata"].get("namespace"), one["metadata"].get("name")): one for one in pods}
    return tuple(by_name.values())
