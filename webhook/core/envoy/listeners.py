"""The listeners of the sidecar: egress, ingress, and one for every port of a captured name.

https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/listener/v3/listener.proto
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from webhook.core import names
from webhook.core.capture import Capture
from webhook.core.envoy.resources import any_address
from webhook.core.model import Json, SidecarSettings
from webhook.core.templates import Templates, config_file


def listener_name(capture: Capture, port: int) -> str:
    """Give the name of the listener for a port of a captured name."""
    return f"{capture.service}:{port}"


def listeners(
    templates: Templates,
    settings: SidecarSettings,
    *,
    ingress: bool,
    access_log: bool,
    captures: Iterable[Capture] = (),
) -> Json:
    """Give the listeners: egress, ingress where there is one, and those of captured names."""
    log = templates.access_log.fill() if access_log else []
    also = [{"address": {"socket_address": {"address": "::1", "port_value": settings.ports.egress}}}]
    egress = templates.egress.fill(
        name=names.EGRESS_LISTENER,
        port=settings.ports.egress,
        additional_addresses=also if settings.ipv6 else [],
        access_log=log,
        routes=names.EGRESS_ROUTES,
        routes_file=config_file(names.ROUTES),
        config_folder=names.CONFIG_FOLDER,
    )
    first = [egress, _ingress(templates, settings)] if ingress else [egress]
    return {"resources": [*first, *_captured(templates, captures, log)]}


def _captured(templates: Templates, captures: Iterable[Capture], log: Json) -> Iterator[Json]:
    for capture in captures:
        for listen in capture.listens:
            common = {
                "name": listener_name(capture, listen.port),
                "address": capture.address,
                "port": listen.port,
                "cluster": listen.upstream.cluster,
            }
            if not listen.grpc:
                yield templates.pass_through.fill(**common)
                continue
            yield templates.captured.fill(
                **common,
                access_log=log,
                routes=names.CAPTURED_ROUTES,
                routes_file=config_file(names.CAPTURES),
                config_folder=names.CONFIG_FOLDER,
            )


def _ingress(templates: Templates, settings: SidecarSettings) -> Json:
    return templates.ingress.fill(
        name=names.INGRESS_LISTENER,
        any_address=any_address(settings),
        ipv4_compat=settings.ipv6,
        port=settings.ports.ingress,
        cluster=names.APP_CLUSTER,
    )
