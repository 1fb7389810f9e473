"""The ports that clients dial by a Service's name, and what speaks against taking them over in any Pod."""

from __future__ import annotations

from typing import Final

from webhook.core import names
from webhook.core.model import Service, ServicePort, SidecarSettings

_LOW: Final = range(1024)
"""Ports that some container runtimes let an ordinary user bind, and some do not."""
_TAKES_SETTING: Final = "the sidecar may not bind its port {} without the setting sidecar.privileged_ports"
_NOT_DECLARED: Final = f"none of its ports is declared gRPC: name one grpc, or set annotation {names.UPSTREAM}"


def dialled_ports(service: Service) -> dict[int, int]:
    """Map every port that clients of a Service dial to the Service's number of it.

    The name of a headless Service leads to its pods, so their own ports are dialled too; its numbers work only with us.
    """
    needed = (port for port in service.ports if not (service.headless and _only_ours(port)))
    found = {port.number: port.number for port in needed}
    if service.headless:
        for port in service.ports:
            if port.target is not None:
                found.setdefault(port.target, port.number)
    return found


def forbidden_ports(settings: SidecarSettings) -> range:
    """Give the ports that the sidecar may not bind."""
    return range(0) if settings.privileged_ports else _LOW


def why_unfit(service: Service, settings: SidecarSettings) -> str:
    """Say why the names of a Service cannot be captured in any Pod, or nothing."""
    found = service.unfit or _two_meanings(service) or _forbidden(service, settings)
    return found or ("" if service.declared else _NOT_DECLARED)


def _only_ours(port: ServicePort) -> bool:
    """Say whether a number of a headless Service is one that nobody serves, and that we may not bind everywhere."""
    return port.number in _LOW and port.target not in (None, port.number)


def _two_meanings(service: Service) -> str:
    """Say which port of a headless Service the app may mean in two ways: by its number, and as another one's target.

    Dialled without us it is the pods' own; captured, what the Service calls so.
    """
    numbers = {port.number: port.target for port in service.ports}
    for port in service.ports if service.headless else ():
        if port.target != port.number and port.target in numbers and numbers[port.target] != port.target:
            return f"its port {port.target} is also what the pods listen on for its port {port.number}"
    return ""


def _forbidden(service: Service, settings: SidecarSettings) -> str:
    found = [port for port in dialled_ports(service) if port in forbidden_ports(settings)]
    return _TAKES_SETTING.format(min(found)) if found else ""
