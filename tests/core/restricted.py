"""What Pod Security "restricted" has against a container, written from its rules and not from ours.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from typing import Any

_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip


def violations(spec: Any, container: Any, volume: Any) -> list[str]:
    """Name every field that the standard would refuse, sorted."""
    own = container.get("securityContext") or {}
    pod = spec.get("securityContext") or {}
    capabilities = own.get("capabilities") or {}
    seccomp = own.get("seccompProfile") or pod.get("seccompProfile") or {}
    user = own.get("runAsUser", pod.get("runAsUser"))
    ports = [port for port in container.get("ports") or [] if port.get("hostPort")]
    rules = {
        "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
        "capabilities": capabilities.get("drop") == ["ALL"]
        and set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"},
        "hostPort": not ports,
        "privileged": not own.get("privileged"),
        "procMount": own.get("procMount", "Default") == "Default",
        "runAsNonRoot": own.get("runAsNonRoot", pod.get("runAsNonRoot")) is True,
        "runAsUser": user is None or user > 0,
        "seccompProfile": seccomp.get("type") in ("RuntimeDefault", "Localhost"),
        "volume": set(volume) - {"name"} <= _VOLUMES,
    }
    return sorted(name for name, kept in rules.items() if not kept)
