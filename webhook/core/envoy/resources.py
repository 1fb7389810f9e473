"""The resources that the sidecar's Envoy reads: one small typed function each, over the templates.

https://www.envoyproxy.io/docs/envoy/latest/api-v3/api
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from webhook.core import names
from webhook.core.model import Json, SidecarSettings, Upstream
from webhook.core.templates import Templates, config_file

_REFRESH_STEP: Final = 5


def bootstrap(templates: Templates, settings: SidecarSettings) -> Json:
    """Give the document that Envoy starts with; the same for every Pod."""
    return templates.bootstrap.fill(
        admin_port=settings.ports.admin,
        probe_port=settings.ports.probe,
        any_address=any_address(settings),
        ipv4_compat=settings.ipv6,
        clusters_file=config_file(names.CLUSTERS),
        listeners_file=config_file(names.LISTENERS),
        config_folder=names.CONFIG_FOLDER,
    )


def any_address(settings: SidecarSettings) -> str:
    """Give the address that means all addresses of the Pod."""
    return "::" if settings.ipv6 else "0.0.0.0"  # noqa: S104 other pods and the kubelet must reach it


def clusters(
    templates: Templates, settings: SidecarSettings, upstreams: Sequence[Upstream], app_port: int | None
) -> Json:
    """Give the clusters: one an upstream, the forward proxy, and the app where there is an ingress."""
    refresh = dns_refresh(settings, len(upstreams))
    resources = [_upstream(templates, settings, upstream, refresh) for upstream in upstreams]
    resources.append(templates.forward_proxy.fill(name=names.FORWARD_PROXY_CLUSTER))
    if app_port is not None:
        resources.append(templates.app_cluster.fill(name=names.APP_CLUSTER, port=app_port))
    return {"resources": resources}


def dns_refresh(settings: SidecarSettings, upstreams: int) -> str:
    """Give how often each name is asked for: as set, less often where that many names would load the DNS.

    In steps, so that one more Service rarely changes the clusters of all the others.
    """
    bounded = math.ceil(upstreams / settings.dns_queries_per_second)
    if bounded <= settings.dns_refresh_seconds:
        return f"{settings.dns_refresh_seconds}s"
    return f"{math.ceil(bounded / _REFRESH_STEP) * _REFRESH_STEP}s"


def _upstream(templates: Templates, settings: SidecarSettings, upstream: Upstream, refresh: str) -> Json:
    return templates.cluster.fill(
        name=upstream.cluster,
        lb_policy=upstream.policy.lb_policy.upper(),
        dns_refresh_rate=refresh,
        address=f"{upstream.service}.svc.{settings.cluster_domain}.",
        port=upstream.port,
    )


def listeners(templates: Templates, settings: SidecarSettings, *, ingress: bool, access_log: bool) -> Json:
    """Give the listeners: egress, and ingress where there is one."""
    also = [{"address": {"socket_address": {"address": "::1", "port_value": settings.ports.egress}}}]
    egress = templates.egress.fill(
        name=names.EGRESS_LISTENER,
        port=settings.ports.egress,
        additional_addresses=also if settings.ipv6 else [],
        access_log=templates.access_log.fill() if access_log else [],
        routes=names.EGRESS_ROUTES,
        routes_file=config_file(names.ROUTES),
        config_folder=names.CONFIG_FOLDER,
    )
    return {"resources": [egress, _ingress(templates, settings)] if ingress else [egress]}


def _ingress(templates: Templates, settings: SidecarSettings) -> Json:
    return templates.ingress.fill(
        name=names.INGRESS_LISTENER,
        any_address=any_address(settings),
        ipv4_compat=settings.ipv6,
        port=settings.ports.ingress,
        cluster=names.APP_CLUSTER,
    )
