"""Does this Pod get a sidecar, and if not, why.

Who selects (the Pod's label over the Namespace's; any other value counts as not set, with a warning):

    namespace   pod        result
    ---------   --------   -----------------------------
    enabled     -          inject
    enabled     enabled    inject
    enabled     disabled   skip disabled
    -           -          skip not-selected
    -           enabled    inject
    -           disabled   skip disabled
    disabled    anything   skip namespace-disabled

At `/mutate` the API server has already selected by these labels: there the Namespace is not known, and only
the Pod's own word and the skips below count.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from webhook.core import names
from webhook.core.model import JsonObject, Namespace, SidecarSettings
from webhook.core.outcome import Inject, Skip, SkipReason
from webhook.core.pod import Pod
from webhook.core.volume import is_our_volume

_MESH_CONTAINERS: Final = {
    "istio-proxy": "Istio",
    "linkerd-proxy": "Linkerd",
    "consul-dataplane": "Consul",
    "consul-connect-envoy-sidecar": "Consul",
    "envoy-sidecar": "Consul",
    "kuma-sidecar": "Kuma",
}
_MESH_SWITCHES: Final = {
    "sidecar.istio.io/inject": ("Istio", ("true",)),
    "linkerd.io/inject": ("Linkerd", ("enabled", "ingress")),
    "consul.hashicorp.com/connect-inject": ("Consul", ("true", "1", "t")),
    "kuma.io/sidecar-injection": ("Kuma", ("enabled", "true")),
}
_ISTIO_REVISION: Final = "istio.io/rev"


def decide(pod: Pod, namespace: Namespace | None, settings: SidecarSettings) -> Inject | Skip:
    """Say whether this Pod gets a sidecar, and why.

    `namespace` is None where somebody else has already selected the Pod by its Namespace's label.
    """
    skip = (
        _not_selected(pod, namespace)
        or _out_of_reach(pod, settings)
        or _other_mesh(pod)
        or _already_injected(pod)
        or _port_conflict(pod, settings)
    )
    return skip or Inject()


def _not_selected(pod: Pod, namespace: Namespace | None) -> Skip | None:
    own = pod.labels.get(names.INJECT)
    wide = namespace.labels.get(names.INJECT) if namespace else names.ENABLED
    if wide == names.DISABLED:
        return Skip(SkipReason.NAMESPACE_DISABLED, f"the namespace has label {names.INJECT}=disabled")
    if own == names.DISABLED:
        return Skip(SkipReason.DISABLED, f"the pod has label {names.INJECT}=disabled")
    if names.ENABLED not in (wide, own):
        return Skip(SkipReason.NOT_SELECTED, f"neither namespace nor pod has label {names.INJECT}=enabled")
    return None


def _out_of_reach(pod: Pod, settings: SidecarSettings) -> Skip | None:
    if pod.namespace in settings.system_namespaces or pod.namespace == settings.own_namespace:
        return Skip(SkipReason.SYSTEM_NAMESPACE, f"{pod.namespace} is a system namespace")
    if names.MIRROR_POD in pod.annotations:
        return Skip(SkipReason.MIRROR_POD, "it mirrors a kubelet's static pod, which no admission changes")
    if pod.spec.get("hostNetwork"):
        return Skip(SkipReason.HOST_NETWORK, "spec.hostNetwork is true: the sidecar's ports would be the node's")
    os_name = (pod.spec.get("os") or {}).get("name")
    selector = pod.spec.get("nodeSelector") or {}
    if "windows" in (os_name, selector.get(names.OS_LABEL), selector.get(f"beta.{names.OS_LABEL}")):
        return Skip(SkipReason.WINDOWS, "the pod is for Windows nodes, the sidecar runs on Linux")
    return None


def _other_mesh(pod: Pod) -> Skip | None:
    for container in pod.all_containers():
        if mesh := _MESH_CONTAINERS.get(container["name"]):
            return Skip(SkipReason.OTHER_MESH, f"container {container['name']!r} is {mesh}'s proxy")
    for key, (mesh, on) in _MESH_SWITCHES.items():
        for kind, values in (("label", pod.labels), ("annotation", pod.annotations)):
            if values.get(key) in on:
                return Skip(SkipReason.OTHER_MESH, f"{kind} {key}={values[key]} asks for {mesh}'s proxy")
    if pod.labels.get(_ISTIO_REVISION) and pod.labels.get("sidecar.istio.io/inject") != "false":
        return Skip(SkipReason.OTHER_MESH, f"label {_ISTIO_REVISION} asks for Istio's proxy")
    return None


def carries_sidecar(pod: Pod) -> bool:
    """Say whether a Pod has our container, our volume and a configuration."""
    return (
        any(map(is_our_container, pod.init_containers))
        and any(map(is_our_volume, pod.volumes))
        and all(pod.annotations.get(key) for key in names.CONFIGURATION)
    )


def _already_injected(pod: Pod) -> Skip | None:
    if carries_sidecar(pod):
        return Skip(SkipReason.ALREADY_INJECTED, f"container {names.SIDECAR!r} and its configuration are there")
    return None


def _port_conflict(pod: Pod, settings: SidecarSettings) -> Skip | None:
    taken = settings.ports.all()
    for container, port in pod.tcp_ports():
        if port in taken:
            return Skip(
                SkipReason.PORT_CONFLICT,
                f"container {container!r} declares port {port}, which the sidecar binds",
            )
    return None


def is_our_container(container: JsonObject) -> bool:
    """Say whether an init container is the sidecar that we once put in."""
    mounts = container.get("volumeMounts") or ()
    return (
        container["name"] == names.SIDECAR
        and container.get("restartPolicy") == "Always"
        and any(mount.get("name") == names.VOLUME for mount in mounts)
    )


def name_clashes(pod: Pod) -> Iterator[str]:
    """Name every use of our names for something else: only the Pod's author can mend that."""
    for container in pod.containers:
        if container["name"] == names.SIDECAR:
            yield f"spec.containers: the name {names.SIDECAR!r} is the sidecar's; call the container something else"
    ours = [container for container in pod.init_containers if container["name"] == names.SIDECAR]
    if len(ours) > 1 or not all(map(is_our_container, ours)):
        yield f"spec.initContainers: the name {names.SIDECAR!r} is the sidecar's; call the container something else"
    volumes = [volume for volume in pod.volumes if volume["name"] == names.VOLUME]
    if len(volumes) > 1 or not all(map(is_our_volume, volumes)):
        yield f"spec.volumes: the name {names.VOLUME!r} is the sidecar's; call the volume something else"
