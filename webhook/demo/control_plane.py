"""What `evenkeel xds` serves endpoints with, fed from a Node's Pods where in a cluster the API server tells of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from prometheus_client import CollectorRegistry

from webhook.core import names
from webhook.core.catalog import build_catalog
from webhook.core.model import SidecarSettings
from webhook.demo.certificate import CertificateFiles
from webhook.demo.slices import EndpointSlices, Key
from webhook.demo.tokens import Tokens
from webhook.node.network import GATEWAY
from webhook.node.node import Node
from webhook.node.pod import Pod
from webhook.xds.authenticate import Authenticator
from webhook.xds.credentials import LiveCredentials, Pem
from webhook.xds.endpoint_source import EndpointSource
from webhook.xds.metrics import XdsMetrics
from webhook.xds.proxyless import Proxyless
from webhook.xds.refusals import Refusals
from webhook.xds.reviews import ReviewMetrics, Reviews
from webhook.xds.server import AdsServer
from webhook.xds.source import EDS
from webhook.xds.zones import Zones


class ControlPlane:
    """Pushes endpoints over TLS to the Pods of a Node that prove who they are, while it is entered.

    Server, sources and authentication are those of `evenkeel xds`. In place of the API server the demo's own cluster
    tells of Services, EndpointSlices and tokens.
    """

    def __init__(self, node: Node, certificate: CertificateFiles, tokens: Tokens) -> None:
        self.tokens = tokens
        self._node = node
        self._certificate = certificate
        self._settings = SidecarSettings()
        registry = CollectorRegistry()
        metrics = ReviewMetrics(registry)
        self._authenticator = Authenticator(Reviews(tokens, metrics), Zones(tokens), Refusals(registry), metrics)
        self._endpoints = EndpointSource()
        self._proxyless = Proxyless(self._settings.cluster_domain)
        sources = {EDS: self._endpoints, **self._proxyless.sources}
        self._server = AdsServer(sources, self._authenticator, XdsMetrics(registry))
        self._slices = EndpointSlices(node.pods.values, self._slice_changed)
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Serve at the address that Pods reach this machine by, under the name that they know."""
        pem = Pem(self._certificate.cert.read_bytes(), self._certificate.key.read_bytes())
        port = self._settings.xds_port
        await self._server.listen(f"{GATEWAY}:{port}", LiveCredentials(lambda: pem).make())
        self._node.services.apply(_service(self._settings))
        await self._group.__aenter__()
        self._tasks.append(self._group.create_task(self._authenticator.run(), name="let clients in"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the streams, and follow nobody any more."""
        await self._server.stop(0)
        for task in self._tasks:
            task.cancel()
        # Without the error that brings us here, which would come out of it as a group.
        await self._group.__aexit__(None, None, None)

    def put(self, objects: Iterable[Mapping[str, Any]]) -> None:
        """Take all Services and Namespaces of the cluster."""
        since, known = time.monotonic(), list(objects)
        catalog = build_catalog(known)
        self._server.changed(EDS, self._endpoints.put_catalog(catalog), since=since)
        for type_url, changed in self._proxyless.put_catalog(catalog).items():
            self._server.changed(type_url, changed, since=since)
        for service in known:
            if service["kind"] == "Service":
                self._slices.apply(service)

    def follow(self, pod: Pod) -> None:
        """Keep the EndpointSlices true to a Pod as long as it lives."""
        self._tasks.append(self._group.create_task(self._slices.follow(pod), name=f"follow {pod.name}"))

    def _slice_changed(self, key: Key, document: Mapping[str, Any] | None) -> None:
        self._server.changed(EDS, self._endpoints.put_slice(key, document), since=time.monotonic())


def _service(settings: SidecarSettings) -> Mapping[str, Any]:
    metadata = {"name": settings.xds_service, "namespace": names.SYSTEM_NAMESPACE}
    spec = {"clusterIP": GATEWAY, "ports": [{"name": "grpc-xds", "port": settings.xds_port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
