"""A Pod whose gRPC libraries ask the control plane themselves: no sidecar, but what they need to ask."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from webhook.core import names
from webhook.core.configuration import annotation_bytes
from webhook.core.errors import PodRejected
from webhook.core.model import Json, JsonObject, SidecarSettings
from webhook.core.outcome import Outcome, Skip, SkipReason
from webhook.core.patch import PatchRecorder
from webhook.core.pod import Pod
from webhook.core.render import ANNOTATION_LIMIT
from webhook.core.volume import MODE, TOKEN

BOOTSTRAP: Final = "GRPC_XDS_BOOTSTRAP_CONFIG"
"""Where gRPC libraries look for their bootstrap, unless BOOTSTRAP_FILE names a file with one."""
BOOTSTRAP_FILE: Final = "GRPC_XDS_BOOTSTRAP"
CALL_CREDENTIALS: Final = "GRPC_EXPERIMENTAL_XDS_BOOTSTRAP_CALL_CREDS"
"""Without it they pass over the bootstrap's `call_creds`, and so would be nobody."""
POD_NAME: Final = "EVENKEEL_POD_NAME"
POD_NAMESPACE: Final = "EVENKEEL_POD_NAMESPACE"
AUTHORITIES_FILE: Final = "ca.pem"

_TRUST: Final = f"metadata.annotations['{names.TRUST}']"
_AUTHORITIES: Final = {
    "downwardAPI": {"items": [{"path": AUTHORITIES_FILE, "fieldRef": {"apiVersion": "v1", "fieldPath": _TRUST}}]}
}
_VOLUME: Final = {"name": names.VOLUME, "projected": {"defaultMode": MODE, "sources": [_AUTHORITIES, TOKEN]}}
_MOUNT: Final = {"name": names.VOLUME, "mountPath": names.CONFIG_FOLDER, "readOnly": True}
_FOLDER: Final = tuple(names.CONFIG_FOLDER.strip("/").split("/"))
_PROXIES: Final = ("grpc_proxy", "https_proxy", "http_proxy", "HTTPS_PROXY")
_EXCEPTIONS: Final = ("no_grpc_proxy", "no_proxy", "NO_PROXY")
_LISTS: Final = ("initContainers", "containers")


class _Place(NamedTuple):
    """A container and where it stands."""

    part: str
    at: int
    container: JsonObject

    def items(self, key: str) -> Sequence[Any]:
        """Give a list of the container's; what is no list has nothing for us."""
        found = self.container.get(key)
        return found if isinstance(found, list) else ()


def admit_proxyless(pod: Pod, settings: SidecarSettings, trust: str) -> Outcome:
    """Give a Pod's containers a bootstrap, and the files by which they are sure of the server and it of them.

    `trust` is the PEM of the CAs that sign the server's certificate; without it the Pod stays as it is, since a token
    is never sent to somebody unknown. A container that has a bootstrap of its own, or something at or around our
    folder, stays as it is. The Pod is never changed; PodRejected where its volume's name is taken.
    """
    _check_volumes(pod)
    if skip := _unable(pod, trust):
        return Outcome(skip, warnings=(f"annotation {names.MODE}: the pod stays as it is: {skip.detail}",))
    text, edit = bootstrap(settings), PatchRecorder(pod.document)
    chosen = [place for place in _places(pod) if not _has_own(place) and not _in_the_way(place)]
    warnings = (*_mount_warnings(pod), *_proxy_warnings(chosen))
    for place in chosen:
        _equip(edit, place, text)
    if chosen:
        _mark(edit, pod, trust)
    if edit.operations:
        return Outcome(None, edit.operations, warnings)
    return Outcome(Skip(SkipReason.ALREADY_INJECTED, "every container that can use it has a bootstrap"), (), warnings)


@lru_cache(maxsize=4)
def bootstrap(settings: SidecarSettings) -> str:
    """Give the bootstrap as the value of a variable: Kubernetes puts the Pod's name and namespace into it.

    No credentials but TLS are offered, so that a library that does not know them fails instead of talking in the clear.
    """
    # As the certificate has it: a bootstrap cannot say that the server is called otherwise than it is dialled.
    host = f"{settings.xds_service}.{settings.own_namespace}.svc"
    folder = names.CONFIG_FOLDER
    server = {
        "server_uri": f"dns:///{host}:{settings.xds_port}",
        # By default libraries read the file again after ten minutes.
        "channel_creds": [
            {
                "type": "tls",
                "config": {"ca_certificate_file": f"{folder}/{AUTHORITIES_FILE}", "refresh_interval": "60s"},
            }
        ],
        "call_creds": [{"type": "jwt_token_file", "config": {"jwt_token_file": f"{folder}/{names.TOKEN_FILE}"}}],
        "server_features": ["xds_v3"],
    }
    node = {"id": f"$({POD_NAME}).$({POD_NAMESPACE})"}
    return json.dumps({"xds_servers": [server], "node": node}, separators=(",", ":"))


def is_proxyless(pod: Pod) -> bool:
    """Say whether a Pod was given what its gRPC libraries need."""
    return any(map(is_proxyless_volume, pod.volumes))


def is_proxyless_volume(volume: JsonObject) -> bool:
    """Say whether a volume is the one that we give such Pods."""
    projected = volume.get("projected")
    sources = projected.get("sources") if isinstance(projected, dict) else None
    return volume["name"] == names.VOLUME and isinstance(sources, list) and _AUTHORITIES in sources


def refresh_proxyless(trust: str) -> Mapping[str, str]:
    """Give the annotations that such a live Pod should carry now; none where nobody knows better than it does."""
    return {names.TRUST: trust} if trust else {}


def proxyless_paths(pod: Pod) -> Iterator[tuple[str | int, ...]]:
    """Give the paths of all that was put into containers and volumes; removed in this order they are good."""
    for place in _places(pod):
        env = place.items("env")
        ours = _our_variables(env)
        yield from _removals(("spec", place.part, place.at, "env"), ours, len(env))
        mounts = place.items("volumeMounts")
        found = [at for at, mount in enumerate(mounts) if _is_our_mount(mount)] if is_proxyless(pod) else []
        yield from _removals(("spec", place.part, place.at, "volumeMounts"), found, len(mounts))
    volumes = [at for at, volume in enumerate(pod.volumes) if is_proxyless_volume(volume)]
    yield from _removals(("spec", "volumes"), volumes, len(pod.volumes))


def _removals(path: tuple[str | int, ...], found: Sequence[int], there: int) -> Iterator[tuple[str | int, ...]]:
    """Give what to remove of a list: all of it, or items from its end, so that none moves what the next one means."""
    if found and len(found) == there:
        yield path
    else:
        yield from ((*path, index) for index in reversed(found))


def _check_volumes(pod: Pod) -> None:
    taken = [each for each in pod.volumes if each["name"] == names.VOLUME and not is_proxyless_volume(each)]
    if taken:
        what = f"spec.volumes: the name {names.VOLUME!r} is ours, and this is not what {names.MODE}=proxyless gives"
        raise PodRejected([f"{what}; call the volume something else, or take a sidecar's out by `evenkeel eject`"])


def _unable(pod: Pod, trust: str) -> Skip | None:
    if not trust:
        why = "it is not known which CA signs the certificate of evenkeel xds, and no token is sent to somebody unknown"
        return Skip(SkipReason.NO_TRUST, why)
    if annotation_bytes({**pod.annotations, names.TRUST: trust}) > ANNOTATION_LIMIT:
        return Skip(SkipReason.ANNOTATIONS_FULL, "the pod's annotations leave no room for the CA's certificate")
    return None


def _places(pod: Pod) -> Iterator[_Place]:
    for part, containers in zip(_LISTS, (pod.init_containers, pod.containers), strict=True):
        for index, container in enumerate(containers):
            yield _Place(part, index, container)


def _named(env: Sequence[Any], name: str) -> int | None:
    """Give where a variable stands, or None; of two the last counts."""
    found = [at for at, entry in enumerate(env) if isinstance(entry, dict) and entry.get("name") == name]
    return found[-1] if found else None


def _is_ours(entry: JsonObject) -> bool:
    return f"$({POD_NAME})" in str(entry.get("value"))


def _has_own(place: _Place) -> bool:
    """Say whether a container has chosen for itself; an `env` that is no list is for the API server to refuse."""
    env = place.items("env")
    at = _named(env, BOOTSTRAP)
    theirs = at is not None and not _is_ours(env[at])
    return theirs or _named(env, BOOTSTRAP_FILE) is not None or not isinstance(place.container.get("env"), list | None)


def _our_variables(env: Sequence[Any]) -> list[int]:
    """Give where our variables stand. The switch is ours only among them: its author's stands before."""
    last, first = _named(env, BOOTSTRAP), _named(env, POD_NAME)
    if last is None or first is None or not _is_ours(env[last]):
        return []
    ours = (POD_NAME, POD_NAMESPACE, CALL_CREDENTIALS, BOOTSTRAP)
    return [at for at in range(first, last + 1) if isinstance(env[at], dict) and env[at].get("name") in ours]


def _is_our_mount(mount: JsonObject) -> bool:
    return mount.get("name") == names.VOLUME and mount.get("mountPath") == names.CONFIG_FOLDER


def _mounts_in_the_way(place: _Place) -> Iterator[str]:
    """Name what is mounted at our folder, in it or around it: ours could not be made there, or would hide it."""
    for mount in place.items("volumeMounts"):
        parts = tuple(part for part in str(mount.get("mountPath")).split("/") if part not in {"", "."})
        shared = min(len(parts), len(_FOLDER))
        if parts[:shared] == _FOLDER[:shared] and not _is_our_mount(mount):
            yield str(mount.get("mountPath"))


def _in_the_way(place: _Place) -> bool:
    return any(True for _ in _mounts_in_the_way(place))


def _mount_warnings(pod: Pod) -> Iterator[str]:
    for place in _places(pod):
        for path in () if _has_own(place) else _mounts_in_the_way(place):
            yield (
                f"container {place.container['name']!r} gets no {BOOTSTRAP}: it mounts a volume at {path}, "
                f"and the files for it would be at {names.CONFIG_FOLDER}"
            )


def _proxy_warnings(places: Sequence[_Place]) -> Iterator[str]:
    """Warn of containers whose gRPC would dial the server through an HTTP proxy; Go reads HTTPS_PROXY as well."""
    for place in places:
        env = [entry for entry in place.items("env") if isinstance(entry, dict) and entry.get("value")]
        proxy = next((entry["name"] for entry in env if entry.get("name") in _PROXIES), None)
        excepted = ",".join(str(entry["value"]) for entry in env if entry.get("name") in _EXCEPTIONS)
        hosts = [host.strip().lstrip("*.") for host in excepted.split(",")]
        if proxy and excepted.strip() != "*" and not any(host == "svc" or host.endswith(".svc") for host in hosts):
            yield (
                f"container {place.container['name']!r} sets {proxy}: gRPC would dial the control plane through it; "
                "add .svc to no_proxy"
            )


def _equip(edit: PatchRecorder, place: _Place, text: str) -> None:
    """Record what one container lacks."""
    path = ("spec", place.part, place.at)
    env = place.items("env")
    at = _named(env, BOOTSTRAP)
    if at is None:
        # After its own: what ours refer to must stand before them, and nothing of theirs refers to ours.
        for entry in _variables(text, with_switch=_named(env, CALL_CREDENTIALS) is None):
            edit.append(*path, "env", value=entry)
    elif env[at].get("value") != text:
        edit.set(*path, "env", at, "value", value=text)
    if not any(map(_is_our_mount, place.items("volumeMounts"))):
        edit.append(*path, "volumeMounts", value=_MOUNT)


def _variables(text: str, *, with_switch: bool) -> Iterator[Json]:
    for name, field in ((POD_NAME, "metadata.name"), (POD_NAMESPACE, "metadata.namespace")):
        yield {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": field}}}
    if with_switch:
        yield {"name": CALL_CREDENTIALS, "value": "true"}
    yield {"name": BOOTSTRAP, "value": text}


def _mark(edit: PatchRecorder, pod: Pod, trust: str) -> None:
    """Record the label, the annotation and the volume that a Pod lacks."""
    if pod.labels.get(names.INJECTED) != names.INJECTED_VALUE:
        edit.set("metadata", "labels", names.INJECTED, value=names.INJECTED_VALUE)
    if pod.annotations.get(names.TRUST) != trust:
        edit.set("metadata", "annotations", names.TRUST, value=trust)
    if not is_proxyless(pod):
        edit.insert("spec", "volumes", index=0, value=_VOLUME)
