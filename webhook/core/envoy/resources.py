"""The resources that the sidecar's Envoy reads: one small typed function each, over the templates.

https://www.envoyproxy.io/docs/envoy/latest/api-v3/api
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from webhook.core import names
from webhook.core.model import DiscoveryMode, Json, SidecarSettings, Upstream
from webhook.core.templates import Templates, config_file

_REFRESH_STEP: Final = 5
_RESOLVING: Final = ("cluster_type", "load_assignment")
"""What of cluster.yaml is about DNS."""


def bootstrap(templates: Templates, settings: SidecarSettings, mode: DiscoveryMode = DiscoveryMode.DNS) -> Json:
    """Give the document that Envoy starts with; the same for every Pod with one kind of discovery."""
    document = templates.bootstrap.fill(
        admin_port=settings.ports.admin,
        probe_port=settings.ports.probe,
        any_address=any_address(settings),
        ipv4_compat=settings.ipv6,
        clusters_file=config_file(names.CLUSTERS),
        listeners_file=config_file(names.LISTENERS),
        config_folder=names.CONFIG_FOLDER,
    )
    return _with_ads(document, templates, settings) if mode is DiscoveryMode.XDS else document


def _with_ads(document: Json, templates: Templates, settings: SidecarSettings) -> Json:
    server = f"{settings.xds_service}.{settings.own_namespace}.svc"
    ads = templates.ads.fill(
        cluster=names.XDS_CLUSTER,
        address=f"{server}.{settings.cluster_domain}.",
        port=settings.xds_port,
        server_name=server,
        identity_file=config_file(names.IDENTITY),
        trust_file=config_file(names.TRUST),
        config_folder=names.CONFIG_FOLDER,
    )
    dynamic = {"ads_config": ads["ads_config"], **document["dynamic_resources"]}
    static = document["static_resources"]
    return {
        **document,
        "dynamic_resources": dynamic,
        "static_resources": {**static, "clusters": [*static["clusters"], ads["cluster"]]},
    }


def trust(templates: Templates, authorities: str) -> Json:
    """Give the secret by which Envoy verifies `evenkeel xds`: CAs as PEM."""
    return {"resources": [templates.trust.fill(authorities=authorities)]}


def identity(templates: Templates) -> Json:
    """Give the secret by which Envoy says who it is; the token itself stays in the file that the kubelet writes."""
    return {"resources": [templates.identity.fill(token_file=f"{names.CONFIG_FOLDER}/{names.TOKEN_FILE}")]}


def any_address(settings: SidecarSettings) -> str:
    """Give the address that means all addresses of the Pod."""
    return "::" if settings.ipv6 else "0.0.0.0"  # noqa: S104 other pods and the kubelet must reach it


def clusters(
    templates: Templates,
    settings: SidecarSettings,
    upstreams: Sequence[Upstream],
    app_port: int | None,
    mode: DiscoveryMode = DiscoveryMode.DNS,
) -> Json:
    """Give the clusters of every upstream, the forward proxy, and the app where there is an ingress."""
    refresh = dns_refresh(settings, len(upstreams))
    resources: list[Json] = []
    for upstream in upstreams:
        make = _pushed if mode is DiscoveryMode.XDS and not upstream.direct else _resolved
        resources += make(templates, settings, upstream, refresh)
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


def _resolved(templates: Templates, settings: SidecarSettings, upstream: Upstream, refresh: str) -> Iterator[Json]:
    yield _upstream(templates, settings, upstream, refresh, upstream.cluster)


def _pushed(templates: Templates, settings: SidecarSettings, upstream: Upstream, refresh: str) -> Iterator[Json]:
    """Give the cluster that is called, and the two it consists of: pushed endpoints, and DNS where there are none."""
    pushed, resolved = f"{upstream.cluster}/pushed", f"{upstream.cluster}/dns"
    by_name = _upstream(templates, settings, upstream, refresh, resolved)
    rest = {key: value for key, value in by_name.items() if key not in _RESOLVING}
    yield templates.aggregate.fill(name=upstream.cluster, clusters=[pushed, resolved])
    yield {**rest, "name": pushed, **templates.pushed.fill(service_name=upstream.endpoints)}
    yield by_name


def _upstream(templates: Templates, settings: SidecarSettings, upstream: Upstream, refresh: str, name: str) -> Json:
    cluster = templates.cluster.fill(
        name=name,
        lb_policy=upstream.policy.lb_policy.upper(),
        dns_refresh_rate=refresh,
        address=f"{upstream.service}.svc.{settings.cluster_domain}.",
        port=upstream.port,
    )
    if settings.endpoint_metrics:
        cluster = {**cluster, "track_cluster_stats": {"per_endpoint_stats": True}}
    if not upstream.policy.health_check:
        return cluster
    # A pod that is gone is gone, however healthy it last was.
    return {**cluster, "health_checks": templates.health_check.fill(), "ignore_health_on_host_removal": True}
