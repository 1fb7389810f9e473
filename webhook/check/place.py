"""Where an installation stands, and what its objects are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from webhook.core import names

WEBHOOK: Final = "evenkeel-webhook"
"""The Deployment, ServiceAccount and Service that answer admissions."""
RECONCILER: Final = "evenkeel-reconciler"
"""The Deployment, ServiceAccount and Lease of what keeps live Pods true."""
XDS: Final = names.XDS_CLUSTER
"""The Deployment, ServiceAccount and Service of what pushes endpoints."""
CONFIGURATION: Final = "evenkeel"
"""Both webhook configurations."""
CERTIFICATE_SECRET: Final = "evenkeel-webhook-tls"  # noqa: S105 a name, nothing secret
PORT: Final = 10250
"""Where the API server reaches the webhook's pods."""
BARE_PODS_POLICY: Final = "evenkeel-bare-pods"


@dataclass(frozen=True, slots=True)
class Place:
    """The namespace of an installation."""

    namespace: str = names.SYSTEM_NAMESPACE

    @property
    def dns_name(self) -> str:
        """Give the name by which the API server calls the webhook."""
        return f"{WEBHOOK}.{self.namespace}.svc"

    def account(self, name: str) -> str:
        """Give the user name of a ServiceAccount of ours."""
        return f"system:serviceaccount:{self.namespace}:{name}"
