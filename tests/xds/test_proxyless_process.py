"""The program `evenkeel xds` tells gRPC clients of Services that come and change: a real process, a stream over TLS."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2

from tests import builders
from tests.xds.auth import jwt
from tests.xds.process import Judge, XdsProcess
from webhook.core import names
from webhook.kube.resources import SERVICES
from webhook.xds.source import CDS, LDS, RDS

_KINDS = {LDS: listener_pb2.Listener, RDS: route_pb2.RouteConfiguration, CDS: cluster_pb2.Cluster}


class Library:
    """A stream as gRPC libraries open it: they ask by name, take every response and say so."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        now = int(time.time())
        token = jwt(iat=now, exp=now + 3600)
        stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
        self._call = stub.StreamAggregatedResources(metadata=(("authorization", f"Bearer {token}"),), timeout=30)
        self._asked: dict[str, discovery_pb2.DiscoveryRequest] = {}

    async def asks(self, type_url: str, *names: str) -> Any:
        """Ask for names, and give the first answer."""
        request = self._asked.setdefault(type_url, discovery_pb2.DiscoveryRequest(type_url=type_url))
        request.resource_names[:] = names
        await self._call.write(request)
        return await self.told(type_url)

    async def told(self, type_url: str) -> Any:
        """Wait for a response of a type with one resource, and give that."""
        response = await self._call.read()
        assert response.type_url == type_url
        request = self._asked[type_url]
        request.version_info, request.response_nonce = response.version_info, response.nonce
        await self._call.write(request)
        [resource] = response.resources
        message = _KINDS[type_url]()
        assert resource.Unpack(message)
        return message


@pytest.fixture
async def api() -> AsyncIterator[Judge]:
    """Start an API server that has one Service."""
    one = await Judge().start()
    await one.serve_orders("10.1.1.1")
    yield one
    await one.stop()


def leads_to(route: Any) -> str:
    """Give the cluster of a route configuration with one route."""
    [host] = route.virtual_hosts
    [only] = host.routes
    return str(only.route.cluster)


async def test_a_library_hears_of_services_that_come_and_of_a_policy_that_changes(api: Judge, tmp_path: Path) -> None:
    """Listener, route and cluster at once; afterwards only what has changed."""
    async with XdsProcess(tmp_path, api.kubeconfig(tmp_path)) as replica:
        await replica.serving()
        async with replica.channel() as channel:
            library = Library(channel)

            listener = await library.asks(LDS, "orders")
            first = leads_to(await library.asks(RDS, "orders"))
            cluster = await library.asks(CDS, "orders.shop:50051")
            annotations = {names.LB_POLICY: "least_request"}
            await api.put(SERVICES.path(), builders.service("orders", annotations=annotations))
            changed = await library.told(CDS)
            before = leads_to(await library.asks(RDS, "late.shop.svc.cluster.local"))
            await api.put(SERVICES.path(), builders.service("late", builders.port(8080, "grpc")))
            after = leads_to(await library.told(RDS))

    policies = [len(each.load_balancing_policy.policies) for each in (cluster, changed)]
    assert (listener.name, first, cluster.name) == ("orders", "orders.shop:50051", "orders.shop:50051")
    assert (policies, before, after) == ([1, 2], "late.shop", "late.shop:8080")
