"""A Pod as the rules look at it: its shape is checked once, and then only read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from webhook.core import names
from webhook.core.errors import NotAPod

if TYPE_CHECKING:
    from webhook.core.model import JsonObject

_LARGEST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Pod:
    """A read-only view of a Pod, or of a workload's pod template."""

    document: JsonObject
    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    containers: Sequence[JsonObject]
    init_containers: Sequence[JsonObject]
    volumes: Sequence[JsonObject]
    host_aliases: Sequence[JsonObject] = ()

    @property
    def spec(self) -> JsonObject:
        """Give the pod's `spec`."""
        spec: JsonObject = self.document["spec"]
        return spec

    @property
    def display_name(self) -> str:
        """Give a name for people; at admission a Pod of a controller has only a prefix."""
        metadata = self.document.get("metadata") or {}
        return str(metadata.get("name") or f"{metadata.get('generateName') or ''}*")

    def all_containers(self) -> Iterator[JsonObject]:
        """Give init containers and containers, in the order of their start."""
        yield from self.init_containers
        yield from self.containers

    def tcp_ports(self) -> Iterator[tuple[str, int]]:
        """Give (container, port) for every TCP port that a container, not ours, declares."""
        for container in self.all_containers():
            if container["name"] != names.SIDECAR:
                yield from ((container["name"], port["containerPort"]) for port in _tcp(container))


def served_ports(pod: Pod) -> frozenset[int]:
    """Give the ports that containers of the app say they serve: declared ones, and those that somebody else asks.

    A named port stands in some container's list of ports.
    """
    asked = (port for container in pod.all_containers() for port in _asked(container))
    return frozenset((*(port for _, port in pod.tcp_ports()), *asked))


def _asked(container: JsonObject) -> Iterator[int]:
    if container["name"] == names.SIDECAR:
        return
    hooks = container.get("lifecycle")
    handlers = [container.get(probe) for probe in ("livenessProbe", "readinessProbe", "startupProbe")]
    handlers += [hooks.get(hook) for hook in ("postStart", "preStop")] if isinstance(hooks, dict) else []
    for handler in handlers:
        ways = [handler.get(way) for way in ("httpGet", "tcpSocket", "grpc")] if isinstance(handler, dict) else []
        yield from (way["port"] for way in ways if isinstance(way, dict) and is_port(way.get("port")))


def _tcp(container: JsonObject) -> Iterator[JsonObject]:
    return (port for port in container.get("ports") or () if port.get("protocol") in (None, "TCP"))


def read_pod(document: Any, namespace: str) -> Pod:
    """Check that a document is shaped like a Pod as far as the rules read it.

    `document` is a Pod or a pod template as parsed JSON; it is kept, not copied, and never changed.
    Raises NotAPod, naming the first field that has the wrong type.
    """
    _require(document, dict, "object")
    metadata = _optional(document, "metadata", dict, "metadata")
    spec = _require(document.get("spec"), dict, "spec")
    _optional(spec, "hostNetwork", bool, "spec.hostNetwork", empty=False)
    _optional(spec, "terminationGracePeriodSeconds", int, "spec.terminationGracePeriodSeconds", empty=0)
    for part in ("securityContext", "nodeSelector", "os", "resources"):
        _optional(spec, part, dict, f"spec.{part}")
    containers = _containers(spec, "containers")
    if not containers:
        raise NotAPod("spec.containers: found none, expected at least one container")
    return Pod(
        document=document,
        namespace=namespace,
        labels=_strings(metadata, "labels"),
        annotations=_strings(metadata, "annotations"),
        containers=containers,
        init_containers=_containers(spec, "initContainers"),
        volumes=_named(spec, "volumes"),
        host_aliases=_objects(spec, "hostAliases"),
    )


def _require(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        raise NotAPod(f"{where}: found {_kind(value)}, expected {_WORDS[kind]}")
    return value


def _optional(holder: JsonObject, key: str, kind: type, where: str, *, empty: Any = None) -> Any:
    value = holder.get(key)
    if value is None:
        return kind() if empty is None else empty
    return _require(value, kind, where)


def _strings(metadata: JsonObject, key: str) -> Mapping[str, str]:
    values = _optional(metadata, key, dict, f"metadata.{key}")
    for name, value in values.items():
        _require(value, str, f"metadata.{key}[{name!r}]")
    return values  # type: ignore[no-any-return]


def _objects(spec: JsonObject, key: str) -> Sequence[JsonObject]:
    items = _optional(spec, key, list, f"spec.{key}")
    for index, item in enumerate(items):
        _require(item, dict, f"spec.{key}[{index}]")
    return items  # type: ignore[no-any-return]


def _named(spec: JsonObject, key: str) -> Sequence[JsonObject]:
    items = _optional(spec, key, list, f"spec.{key}")
    for index, item in enumerate(items):
        where = f"spec.{key}[{index}]"
        _require(_require(item, dict, where).get("name"), str, f"{where}.name")
    return items  # type: ignore[no-any-return]


def _containers(spec: JsonObject, key: str) -> Sequence[JsonObject]:
    containers = _named(spec, key)
    for index, container in enumerate(containers):
        where = f"spec.{key}[{index}]"
        _ports(container, f"{where}.ports")
        _resources(container, f"{where}.resources")
        for mount in _optional(container, "volumeMounts", list, f"{where}.volumeMounts"):
            _require(mount, dict, f"{where}.volumeMounts")
    return containers


def _ports(container: JsonObject, where: str) -> None:
    for index, port in enumerate(_optional(container, "ports", list, where)):
        number = _require(port, dict, f"{where}[{index}]").get("containerPort")
        if not is_port(number):
            raise NotAPod(f"{where}[{index}].containerPort: found {number!r}, expected 1 to {_LARGEST_PORT}")


def is_port(value: Any) -> bool:
    """Say whether a value of a manifest is a port number."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST_PORT


def _resources(container: JsonObject, where: str) -> None:
    resources = _optional(container, "resources", dict, where)
    for part in ("requests", "limits"):
        _optional(resources, part, dict, f"{where}.{part}")


_WORDS: Final = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number"}


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    return _WORDS.get(type(value), f"{type(value).__name__} {str(value)[:40]!r}")
