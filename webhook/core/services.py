"""From a Service's manifest to a Service of the catalog: which of its ports are upstreams, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from webhook.core import names
from webhook.core.annotations import LABEL, shown
from webhook.core.model import JsonObject, Problem, Service, ServicePort, ServiceRef, Upstream
from webhook.core.named_ports import NamedPorts
from webhook.core.pod import is_port
from webhook.core.service_annotations import ServiceWords, read_service_annotations
from webhook.core.workloads import DEFAULT_NAMESPACE

_GRPC_PROTOCOLS: Final = ("grpc", "kubernetes.io/h2c")
_LARGEST_PORT: Final = 65535
_NEAR: Final = ("PreferClose", "PreferSameZone", "PreferSameNode")
"""Values of `trafficDistribution` that ask for endpoints of the caller's zone."""


@dataclass(frozen=True, slots=True)
class _Port:
    """One port of a Service, its target resolved."""

    number: int
    name: str | None
    app_protocol: str | None
    target: int | None
    """None where a named target port could not be resolved."""
    why: str = ""
    """Then, the reason."""

    @property
    def declared(self) -> bool:
        """Say whether its name or appProtocol says gRPC."""
        return self.app_protocol in _GRPC_PROTOCOLS or says_grpc(self.name or "")

    @property
    def undeclared(self) -> bool:
        """Say whether it says nothing at all, as a single port may."""
        return not self.name and not self.app_protocol


def says_grpc(port_name: str) -> bool:
    """Say whether a port's name promises gRPC: `grpc`, `grpc-*` but not `grpc-web*`, `h2c*`, `http2*`."""
    if port_name.startswith("grpc-web"):
        return False
    return port_name == "grpc" or port_name.startswith(("grpc-", "h2c", "http2"))


class _Reader:
    """Reads one Service, collecting what is wrong with it."""

    def __init__(self, document: JsonObject, ref: ServiceRef, named: NamedPorts) -> None:
        self.ref = ref
        self.where = f"Service {ref.namespace}/{ref.name}"
        self.problems: list[Problem] = []
        self._document = document
        self._named = named

    def problem(self, code: str, message: str) -> None:
        self.problems.append(Problem(code, self.where, message))

    def read(self) -> Service | None:
        spec = self._document.get("spec")
        if not isinstance(spec, dict):
            self.problem("malformed-service", "spec: expected an object")
            return None
        if spec.get("type") == "ExternalName":
            return None
        annotations = self._strings(self._document["metadata"], "annotations")
        words = read_service_annotations(annotations, self.where)
        self.problems += words.problems
        selector = self._strings(spec, "selector")
        ports = self._ports(spec, selector)
        headless = spec.get("clusterIP") == "None"
        upstreams = self._upstreams(ports, words) if headless else ()
        pushed = () if headless else self._pushed(spec, ports, words)
        if words.grpc_services and not upstreams and not pushed:
            self.problem("no-grpc-port", f"annotation {names.GRPC_SERVICES} has no effect: it has no upstream")
        return Service(
            ref=self.ref,
            selector=tuple(sorted(selector.items())),
            target_ports=frozenset(port.target for port in ports if port.target),
            upstreams=upstreams,
            grpc_services=words.grpc_services if upstreams or pushed else (),
            export_to=words.export_to - {self.ref.namespace},
            pushed=pushed,
            ports=tuple(sorted(ServicePort(port.number, port.name or "", port.target) for port in ports)),
            headless=headless,
            prefer_zone=spec.get("trafficDistribution") in _NEAR,
            capture=words.capture,
            unfit=_unfit(spec),
        )

    def _strings(self, holder: JsonObject, key: str) -> Mapping[str, str]:
        value = holder.get(key) or {}
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            self.problem("malformed-service", f"{key}: expected an object of texts, left out")
            return {}
        return value

    def _ports(self, spec: JsonObject, selector: Mapping[str, str]) -> list[_Port]:
        entries = spec.get("ports") or []
        if not isinstance(entries, list):
            self.problem("malformed-service", "spec.ports: expected a list, left out")
            return []
        found: dict[int, _Port] = {}
        for index, entry in enumerate(entries):
            port = self._port(entry, f"spec.ports[{index}]", selector)
            if port is not None and found.setdefault(port.number, port) is not port:
                self.problem("malformed-service", f"spec.ports[{index}]: port {port.number} is there twice")
        return list(found.values())

    def _port(self, entry: Any, where: str, selector: Mapping[str, str]) -> _Port | None:
        if not isinstance(entry, dict) or not is_port(entry.get("port")):
            self.problem("malformed-service", f"{where}: expected a port from 1 to {_LARGEST_PORT}, left out")
            return None
        name, protocol = entry.get("name") or None, entry.get("appProtocol") or None
        if not isinstance(name, str | None) or not isinstance(protocol, str | None):
            self.problem("malformed-service", f"{where}: name and appProtocol must be texts, left out")
            return None
        if entry.get("protocol") not in (None, "TCP"):
            if says_grpc(name or ""):
                self.problem("not-tcp", f"{where}: protocol {shown(str(entry['protocol']))} carries no gRPC, left out")
            return None
        target, why = self._target(entry, name, selector)
        return _Port(entry["port"], name, protocol, target, why)

    def _target(self, entry: JsonObject, name: str | None, selector: Mapping[str, str]) -> tuple[int | None, str]:
        target = entry.get("targetPort") or entry["port"]
        if is_port(target):
            return target, ""
        if not isinstance(target, str):
            return None, f"targetPort {shown(str(target))} is no port"
        numbers = self._named.resolve(self.ref, selector, name or "", target)
        if len(numbers) == 1:
            return next(iter(numbers)), ""
        if not numbers:
            return None, f"no pod known declares its named targetPort {shown(target)}"
        return None, f"its pods mean different numbers by targetPort {shown(target)}: {sorted(numbers)}"

    def _upstreams(self, ports: list[_Port], words: ServiceWords) -> tuple[Upstream, ...]:
        chosen = self._chosen(ports, words.upstream)
        for port in chosen:
            if port.target is None:
                self.problem("target-port-unknown", f"port {port.name or port.number} is no upstream: {port.why}")
        upstreams = [
            Upstream(
                service=self.ref,
                service_port=port.number,
                port=port.target,
                port_name=port.name,
                declared=port.declared or words.upstream is not None,
                policy=words.policy,
            )
            for port in chosen
            if port.target is not None
        ]
        # An authority without a port means the first: what says gRPC by itself, then what an annotation says.
        says = {port.number for port in chosen if port.declared}
        return tuple(sorted(upstreams, key=lambda u: (u.service_port not in says, not u.declared)))

    def _pushed(self, spec: JsonObject, ports: list[_Port], words: ServiceWords) -> tuple[Upstream, ...]:
        """Give the upstreams of a Service whose name resolves to one address: only by pushed endpoints are they even.

        Dialled by DNS, that address has the Service's own port. What is meant for a node's own pods stays there.
        """
        chosen = self._chosen(ports, words.upstream)
        if spec.get("internalTrafficPolicy") == "Local":
            return ()
        return tuple(
            Upstream(
                service=self.ref,
                service_port=port.number,
                port=port.number,
                port_name=port.name,
                declared=True,
                policy=words.policy,
                headless=False,
            )
            for port in sorted(chosen, key=lambda port: not port.declared)
            if port.declared or words.upstream is not None
        )

    def _chosen(self, ports: list[_Port], wish: bool | tuple[str, ...] | None) -> list[_Port]:
        if wish is None:
            return [port for port in ports if port.declared or port.undeclared]
        if isinstance(wish, bool):
            return ports if wish else []
        chosen = [port for port in ports if {port.name, str(port.number)} & set(wish)]
        known = {text for port in chosen for text in (port.name, str(port.number))}
        for missing in sorted(set(wish) - known):
            have = ", ".join(port.name or str(port.number) for port in ports) or "no TCP port"
            self.problem("no-such-port", f"annotation {names.UPSTREAM}: no port {shown(missing)}; it has {have}")
        return chosen


def _unfit(spec: JsonObject) -> str:
    """Say why calls to a Service's name must not go through a sidecar, which does TCP and spreads it."""
    entries = spec.get("ports")
    found = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    others = {str(entry.get("protocol") or "TCP") for entry in found} - {"TCP"}
    if others:
        return f"it has a port that is not TCP ({', '.join(sorted(others))})"
    if spec.get("sessionAffinity") not in (None, "None"):
        return "its sessionAffinity keeps a client with one pod"
    if spec.get("internalTrafficPolicy") == "Local":
        return "its internalTrafficPolicy keeps calls on the node"
    return ""


def read_service(
    document: JsonObject, named: NamedPorts, *, default_namespace: str = DEFAULT_NAMESPACE
) -> tuple[Service | None, tuple[Problem, ...]]:
    """Read a Service's manifest.

    Returns the Service, or None where it can be none for us, and every problem found; never raises.
    """
    metadata = document.get("metadata")
    name: Any = metadata.get("name") if isinstance(metadata, dict) else None
    namespace: Any = (metadata.get("namespace") if isinstance(metadata, dict) else None) or default_namespace
    if not _is_label(name) or not _is_label(namespace):
        where = f"Service {shown(str(namespace))}/{shown(str(name))}"
        return None, (Problem("malformed-service", where, "name and namespace must be DNS labels; left out"),)
    reader = _Reader(document, ServiceRef(namespace, name), named)
    service = reader.read()
    return service, tuple(reader.problems)


def _is_label(value: Any) -> bool:
    return isinstance(value, str) and LABEL.fullmatch(value) is not None
