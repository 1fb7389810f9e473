"""A Pod's volumes as folders on the machine."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from webhook.node import linux
from webhook.node.atomic import Content, write_atomically
from webhook.node.environment import expand
from webhook.node.errors import ContainerError, NodeError
from webhook.node.fields import PodView, quantity
from webhook.node.rootfs import Mount
from webhook.node.store import Store

_DEFAULT_MODE: Final = 0o644
_KEPT: Final = ("configMap", "secret", "downwardAPI", "projected")
_Files = dict[str, Content]


@dataclass(slots=True)
class Volumes:
    """Makes the volumes of one Pod below a folder, keeps their files current, and takes them away."""

    folder: Path
    store: Store
    _specs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _in_memory: list[Path] = field(default_factory=list)

    def create(self, pod: PodView) -> None:
        """Make every volume; NodeError names one of a kind that this node has not."""
        for spec in pod.document["spec"].get("volumes") or ():
            kind = next((key for key in spec if key != "name"), "emptyDir")
            if kind not in {*_KEPT, "emptyDir"}:
                known = ", ".join(("emptyDir", *_KEPT))
                raise NodeError(f"volume {spec['name']!r}: this node has no {kind} volumes; it has {known}")
            self._specs[spec["name"]] = spec
            self._path(spec["name"]).mkdir(parents=True)
            if kind == "emptyDir":
                self._make_empty(self._path(spec["name"]), spec.get(kind) or {})
        self.refresh(pod)

    def refresh(self, pod: PodView) -> None:
        """Write the files of the kept volumes anew where their content has changed."""
        for name, spec in self._specs.items():
            if kind := next((key for key in _KEPT if key in spec), None):
                try:
                    files = _SOURCES[kind](spec[kind], pod, self.store, _mode(spec[kind]))
                except ContainerError as error:
                    raise NodeError(f"volume {name!r}: {error}") from error
                write_atomically(self._path(name), files)

    def mounts(self, container: Mapping[str, Any], env: Mapping[str, str]) -> Iterator[Mount]:
        """Give a container's mounts; ContainerError names one whose volume the Pod has not."""
        for mount in container.get("volumeMounts") or ():
            spec = self._specs.get(mount["name"])
            if spec is None:
                raise ContainerError("CreateContainerConfigError", f"there is no volume {mount['name']!r}")
            kept = any(kind in spec for kind in _KEPT)
            inner = expand(mount.get("subPathExpr") or "", env) or mount.get("subPath") or ""
            source = self._within(self._path(mount["name"]), inner, kept=kept)
            yield Mount(source, mount["mountPath"], read_only=kept or bool(mount.get("readOnly")))

    def remove(self) -> None:
        """Take every volume away."""
        for path in self._in_memory:
            linux.unmount(str(path))
        self._in_memory.clear()
        self._specs.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _make_empty(self, path: Path, spec: Mapping[str, Any]) -> None:
        path.chmod(0o777)
        if spec.get("medium") == "Memory":
            size = f",size={int(quantity(spec['sizeLimit']))}" if spec.get("sizeLimit") else ""
            linux.mount_tmpfs(str(path), "mode=0777" + size)
            self._in_memory.append(path)

    def _within(self, path: Path, inner: str, *, kept: bool) -> Path:
        if not inner:
            return path
        found = (path / inner).resolve()
        if not found.is_relative_to(path.resolve()):
            raise ContainerError("CreateContainerConfigError", f"subPath {inner!r} leads out of its volume")
        # A path that an emptyDir has not yet is a folder to be made; a kept volume has what it has.
        if not found.exists() and not kept:
            found.mkdir(parents=True)
        return found


def _mode(spec: Mapping[str, Any]) -> int:
    mode = spec.get("defaultMode")
    return int(mode) if mode is not None else _DEFAULT_MODE


def _downward(spec: Mapping[str, Any], pod: PodView, _store: Store, mode: int) -> _Files:
    files: _Files = {}
    for item in spec.get("items") or ():
        reference = item.get("fieldRef")
        text = pod.field(reference["fieldPath"]) if reference else pod.resource(item["resourceFieldRef"])
        files[item["path"]] = Content(text.encode(), int(item.get("mode") or mode))
    return files


def _from_store(kind: str, name_field: str) -> "_Source":
    def files(spec: Mapping[str, Any], pod: PodView, store: Store, mode: int) -> _Files:
        name, optional = spec[name_field], bool(spec.get("optional"))
        data = store.find(kind, pod.namespace, name, optional=optional) or {}
        items = spec.get("items") or [{"key": key, "path": key} for key in data]
        missing = sorted(item["key"] for item in items if item["key"] not in data)
        if missing and not optional:
            raise NodeError(f"{kind} {pod.namespace}/{name} has no key {missing[0]!r}; it has {sorted(data)}")
        present = (item for item in items if item["key"] in data)
        return {item["path"]: Content(data[item["key"]].encode(), int(item.get("mode") or mode)) for item in present}

    return files


def _token(spec: Mapping[str, Any], pod: PodView, store: Store, mode: int) -> _Files:
    account = pod.document["spec"].get("serviceAccountName") or "default"
    token = store.token(pod.namespace, pod.document["metadata"]["uid"], account, spec.get("audience") or "")
    return {spec["path"]: Content(token.encode(), mode)}


def _projected(spec: Mapping[str, Any], pod: PodView, store: Store, mode: int) -> _Files:
    files: _Files = {}
    for source in spec.get("sources") or ():
        kind = next(iter(source), "nothing")
        if kind not in _PROJECTED:
            raise NodeError(f"a projected volume of this node has no {kind} source; it has {sorted(_PROJECTED)}")
        files |= _PROJECTED[kind](source[kind], pod, store, mode)
    return files


_Source = Callable[[Mapping[str, Any], PodView, Store, int], _Files]
_PROJECTED: Final[dict[str, _Source]] = {
    "downwardAPI": _downward,
    "configMap": _from_store("ConfigMap", "name"),
    "secret": _from_store("Secret", "name"),
    "serviceAccountToken": _token,
}
_SOURCES: Final[dict[str, _Source]] = {
    "downwardAPI": _downward,
    "configMap": _from_store("ConfigMap", "name"),
    "secret": _from_store("Secret", "secretName"),
    "projected": _projected,
}
