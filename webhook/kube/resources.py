"""The resources of the API that we use, and how their paths are spelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object and where the API server keeps it."""

    api_version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """Give the group as RBAC writes it: empty for the core."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Give a path such as `/api/v1/namespaces/shop/pods/front`.

        Without a namespace it is that of all namespaces, or of the cluster; without a name that of the collection.
        """
        parts = ["apis" if self.group else "api", *self.api_version.split("/")]
        if namespace is not None and self.namespaced:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name is not None:
            parts.append(name)
        if subresource is not None:
            parts.append(subresource)
        return "/" + "/".join(quote(part, safe=":") for part in parts)


class Place(NamedTuple):
    """What a path means to RBAC; a path that is no resource's stands as the resource itself, as in `/version`."""

    resource: str
    subresource: str
    named: bool


def place(path: str) -> Place:
    """Read a path back."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:] if parts[0] == "apis" else []
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):  # noqa: PLR2004
        rest = rest[2:]
    if not rest:
        return Place(path, "", named=True)
    return Place(rest[0], rest[2] if len(rest) > 2 else "", named=len(rest) > 1)  # noqa: PLR2004


def _apps(plural: str, kind: str) -> Resource:
    return Resource("apps/v1", plural, kind)


def _admission(plural: str, kind: str) -> Resource:
    return Resource("admissionregistration.k8s.io/v1", plural, kind, namespaced=False)


SERVICES: Final = Resource("v1", "services", "Service")
NAMESPACES: Final = Resource("v1", "namespaces", "Namespace", namespaced=False)
PODS: Final = Resource("v1", "pods", "Pod")
SECRETS: Final = Resource("v1", "secrets", "Secret")
CONFIG_MAPS: Final = Resource("v1", "configmaps", "ConfigMap")
SERVICE_ACCOUNTS: Final = Resource("v1", "serviceaccounts", "ServiceAccount")
NODES: Final = Resource("v1", "nodes", "Node", namespaced=False)
EVENTS: Final = Resource("events.k8s.io/v1", "events", "Event")
ENDPOINT_SLICES: Final = Resource("discovery.k8s.io/v1", "endpointslices", "EndpointSlice")
LEASES: Final = Resource("coordination.k8s.io/v1", "leases", "Lease")
POD_DISRUPTION_BUDGETS: Final = Resource("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget")
DEPLOYMENTS: Final = _apps("deployments", "Deployment")
STATEFUL_SETS: Final = _apps("statefulsets", "StatefulSet")
DAEMON_SETS: Final = _apps("daemonsets", "DaemonSet")
REPLICA_SETS: Final = _apps("replicasets", "ReplicaSet")
JOBS: Final = Resource("batch/v1", "jobs", "Job")
CRON_JOBS: Final = Resource("batch/v1", "cronjobs", "CronJob")
MUTATING_WEBHOOKS: Final = _admission("mutatingwebhookconfigurations", "MutatingWebhookConfiguration")
VALIDATING_WEBHOOKS: Final = _admission("validatingwebhookconfigurations", "ValidatingWebhookConfiguration")
ADMISSION_POLICIES: Final = _admission("validatingadmissionpolicies", "ValidatingAdmissionPolicy")
ADMISSION_POLICY_BINDINGS: Final = _admission("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding")
SELF_SUBJECT_ACCESS_REVIEWS: Final = Resource(
    "authorization.k8s.io/v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)
SELF_SUBJECT_REVIEWS: Final = Resource(
    "authentication.k8s.io/v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False
)
TOKEN_REVIEWS: Final = Resource("authentication.k8s.io/v1", "tokenreviews", "TokenReview", namespaced=False)
