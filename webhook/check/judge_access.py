"""What our ServiceAccounts may do, and whether the Service leads anywhere. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from webhook.check.model import Finding, failed, ok, together
from webhook.check.place import PORT, RECONCILER, WEBHOOK
from webhook.check.shipped import Permission
from webhook.core.model import JsonObject


class Right(NamedTuple):
    """Something that a ServiceAccount of ours must be allowed."""

    account: str
    permission: Permission


def judge_rights(allowed: Mapping[Right, bool]) -> Finding:
    """Judge whether our ServiceAccounts may do what ships for them, verb by verb."""
    troubles = [
        failed(f"ServiceAccount {right.account} may not {right.permission}", remedy=_MENDS[right.account])
        for right, yes in allowed.items()
        if not yes
    ]
    return together(troubles, ok(f"{len(allowed)} permissions"))


_MENDS = {
    WEBHOOK: "kubectl apply -f deploy/base/rbac-webhook.yaml",
    RECONCILER: "kubectl apply -f deploy/base/rbac-reconciler.yaml",
}


def ready_endpoints(slices: Iterable[JsonObject]) -> int:
    """Count the addresses that the Service leads to now."""
    return sum(
        len(endpoint.get("addresses") or ())
        for one in slices
        for endpoint in one.get("endpoints") or ()
        if _ready(endpoint)
    )


def _ready(endpoint: Any) -> bool:
    # Unknown counts as ready, as Kubernetes has it.
    return (endpoint.get("conditions") or {}).get("ready") is not False


def judge_service(service: JsonObject | None, slices: Iterable[JsonObject], namespace: str) -> Finding:
    """Judge whether the Service leads to a ready pod on the port that firewalls know."""
    if service is None:
        return failed(f"Service {namespace}/{WEBHOOK} does not exist", remedy="apply deploy/ (again)")
    found = list(slices)
    ready = ready_endpoints(found)
    if not ready:
        return failed(
            f"Service {namespace}/{WEBHOOK} has no ready endpoint: the API server reaches nobody",
            remedy=f"kubectl describe pods -n {namespace} -l app.kubernetes.io/component=webhook",
        )
    ports = sorted({str(port.get("port")) for one in found for port in one.get("ports") or ()})
    return ok(f"{ready} on port {', '.join(ports) or PORT}")
