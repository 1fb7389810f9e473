"""What the cluster's DNS knows at one moment, made from Services and Pods."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What DNS must know about a Pod that runs or starts."""

    namespace: str
    labels: Mapping[str, str]
    address: str
    ready: bool
    hostname: str = ""
    subdomain: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    """Declared container ports that have a name."""


@dataclass(frozen=True, slots=True)
class Zone:
    """Names in lower case without the last dot; a name that exists and has nothing has an empty tuple."""

    domain: str
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    servers: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    """SRV: name -> (target, port)."""

    def covers(self, name: str) -> bool:
        """Say whether a name is in the cluster's domain."""
        return name == self.domain or name.endswith("." + self.domain)

    def exists(self, name: str) -> bool:
        """Say whether a name, or one below it, is known."""
        names = (*self.addresses, *self.servers)
        return name == self.domain or any(known == name or known.endswith("." + name) for known in names)


def build(services: Mapping[tuple[str, str], Mapping[str, Any]], endpoints: Iterable[Endpoint], domain: str) -> Zone:
    """Make the zone of all Services and the Pods that the headless ones select."""
    known = tuple(endpoints)
    addresses: dict[str, tuple[str, ...]] = {}
    servers: dict[str, tuple[tuple[str, int], ...]] = {}
    for (namespace, name), service in services.items():
        base = f"{name}.{namespace}.svc.{domain}".lower()
        if service["spec"].get("clusterIP", "None") != "None":
            addresses[base] = (service["spec"]["clusterIP"],)
            servers |= {_server_name(port, base): ((base, port["port"]),) for port in _named(service["spec"])}
            continue
        chosen = [one for one in known if one.namespace == namespace and _selects(service["spec"], one)]
        addresses[base] = tuple(one.address for one in chosen)
        addresses |= {_own_name(one, name, base): (one.address,) for one in chosen}
        servers |= dict(_servers(service["spec"], chosen, name, base))
    return Zone(domain.lower(), addresses, servers)


def _selects(spec: Mapping[str, Any], endpoint: Endpoint) -> bool:
    selector = spec.get("selector") or {}
    wanted = bool(selector) and all(endpoint.labels.get(key) == value for key, value in selector.items())
    return wanted and (endpoint.ready or bool(spec.get("publishNotReadyAddresses")))


def _own_name(endpoint: Endpoint, service: str, base: str) -> str:
    # As CoreDNS: the host name where the Pod asks for this Service's subdomain, else its address with dashes.
    named = endpoint.hostname and endpoint.subdomain == service
    return f"{(endpoint.hostname if named else endpoint.address.replace('.', '-')).lower()}.{base}"


def _servers(
    spec: Mapping[str, Any], chosen: Iterable[Endpoint], service: str, base: str
) -> Iterator[tuple[str, tuple[tuple[str, int], ...]]]:
    for port in _named(spec):
        found = ((_own_name(one, service, base), _target_port(port, one)) for one in chosen)
        yield _server_name(port, base), tuple((target, number) for target, number in found if number)


def _named(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [port for port in spec.get("ports") or () if port.get("name")]


def _server_name(port: Mapping[str, Any], base: str) -> str:
    return f"_{port['name']}._{port.get('protocol') or 'TCP'}.{base}".lower()


def _target_port(port: Mapping[str, Any], endpoint: Endpoint) -> int:
    target = port.get("targetPort") or port["port"]
    return target if isinstance(target, int) else endpoint.ports.get(target, 0)
