"""Whether a Pod's sidecar takes calls for the app, and where it forwards them."""

from __future__ import annotations

from webhook.core import names
from webhook.core.catalog import Catalog
from webhook.core.model import Overrides, SidecarSettings
from webhook.core.pod import Pod


def ingress(
    pod: Pod, overrides: Overrides, catalog: Catalog, settings: SidecarSettings
) -> tuple[int | None, tuple[str, ...]]:
    """Give the app's port that the ingress listener forwards to, or None where there is no ingress; and warnings.

    There is one where the Pod says `app-port`, or where a Service that selects it targets the ingress port.
    """
    if overrides.app_port is not None:
        return overrides.app_port, ()
    targeting = [
        service
        for service in catalog.own(pod.namespace)
        if settings.ports.ingress in service.target_ports and service.selects(pod.labels)
    ]
    if not targeting:
        return None, ()
    declared = sorted({port for _, port in pod.tcp_ports()})
    if len(declared) == 1:
        return declared[0], ()
    found = ", ".join(map(str, declared)) or "none"
    unclear = (
        f"Service {targeting[0].ref} targets port {settings.ports.ingress}, but which port is the app's is unclear: "
        f"the containers declare {found}; set annotation {names.APP_PORT}"
    )
    return None, (unclear,)
