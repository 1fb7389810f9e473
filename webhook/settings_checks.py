"""What must be true of settings beyond their types."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

from webhook.core import annotations as parsers
from webhook.core import names
from webhook.core.model import Resources, SidecarSettings
from webhook.core.quantity import quantity

if TYPE_CHECKING:
    from webhook.settings import Settings

_MOST_SECONDS: Final = 3600
_MOST_QUERIES: Final = 10_000
_LARGEST_PORT: Final = 65535
_LONGEST_NAME: Final = 253
_DNS_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


def check_server(settings: Settings, places: Mapping[str, str]) -> Iterator[str]:
    """Give every problem of the server's own settings."""
    if settings.port == settings.health_port != 0:
        yield f"{_place('health_port', places)}: found {settings.port}, which is `port`; expected another one"


def check_sidecar(sidecar: SidecarSettings, places: Mapping[str, str]) -> Iterator[str]:
    """Give every problem of what the operator wants in each sidecar."""
    for key, check in _CHECKS.items():
        value = _value(sidecar, key)
        try:
            check(value)
        except ValueError as error:
            yield f"{_place(f'sidecar.{key}', places)}: found {parsers.shown(str(value))}; {error}"
    yield from _ports_differ(sidecar, places)
    yield from _requests_fit(sidecar.resources, places)


def _place(key: str, places: Mapping[str, str]) -> str:
    return places.get(key, key)


def _value(holder: Any, key: str) -> Any:
    for part in key.split("."):
        holder = getattr(holder, part)
    return holder


def _ports_differ(sidecar: SidecarSettings, places: Mapping[str, str]) -> Iterator[str]:
    ports = dataclasses.asdict(sidecar.ports)
    for one, other in combinations(ports, 2):
        if ports[one] == ports[other]:
            place = _place(f"sidecar.ports.{other}", places)
            yield f"{place}: found {ports[other]}, which is sidecar.ports.{one}; expected another one"


def _requests_fit(resources: Resources, places: Mapping[str, str]) -> Iterator[str]:
    for kind in ("cpu", "memory"):
        request, limit = getattr(resources, f"{kind}_request"), getattr(resources, f"{kind}_limit")
        try:
            fits = quantity(request) <= quantity(limit)
        except ValueError:
            continue  # said already
        if not fits:
            place = _place(f"sidecar.resources.{kind}_request", places)
            yield f"{place}: found {request}; expected at most sidecar.resources.{kind}_limit, {limit}"


def _text(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    return lambda value: parse(str(value))


def _between(low: int, high: int) -> Callable[[Any], None]:
    def check(value: Any) -> None:
        if not low <= value <= high:
            raise ValueError(f"accepted: {low} to {high}")

    return check


def _dns_name(value: Any) -> None:
    if len(value) > _LONGEST_NAME or _DNS_NAME.fullmatch(value) is None:
        raise ValueError("accepted: a DNS name such as cluster.local")


def _label(of: str) -> Callable[[Any], None]:
    def check(value: Any) -> None:
        if parsers.LABEL.fullmatch(value) is None:
            raise ValueError(f"accepted: the name of a {of}")

    return check


_namespace: Final = _label("namespace")


def _namespaces(value: Any) -> None:
    for one in sorted(value):
        _namespace(one)


_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "image": _text(parsers.image),
    "ports.egress": _text(parsers.port),
    "ports.ingress": _text(parsers.port),
    "ports.admin": _text(parsers.port),
    "ports.probe": _text(parsers.port),
    "cluster_domain": _dns_name,
    "log_level": parsers.POD[names.PROXY_LOG_LEVEL][1],
    "concurrency": _text(parsers.concurrency),
    "resources.cpu_request": parsers.cpu,
    "resources.cpu_limit": parsers.cpu,
    "resources.memory_request": parsers.memory,
    "resources.memory_limit": parsers.memory,
    "guaranteed_cpu": parsers.cpu,
    "linger_seconds": _between(0, _MOST_SECONDS),
    "dns_refresh_seconds": _between(1, _MOST_SECONDS),
    "dns_queries_per_second": _between(1, _MOST_QUERIES),
    "xds_service": _label("Service"),
    "xds_port": _between(0, _LARGEST_PORT),
    "system_namespaces": _namespaces,
    "own_namespace": _namespace,
}
"""Key below `sidecar` -> what raises ValueError, with what would do, for a bad value."""
