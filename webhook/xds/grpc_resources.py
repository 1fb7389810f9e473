"""Listeners, routes and clusters in the shapes that gRPC libraries take."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import config_source_pb2
from envoy.config.listener.v3 import api_listener_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.load_balancing_policies.least_request.v3 import least_request_pb2
from envoy.extensions.load_balancing_policies.round_robin.v3 import round_robin_pb2
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration

from webhook.core.model import LbPolicy, Retry
from webhook.xds.resources import pack
from webhook.xds.source import Resource

_OVER_ADS: Final = config_source_pb2.ConfigSource(
    ads=config_source_pb2.AggregatedConfigSource(), resource_api_version="V3"
)
_NO_LIMIT: Final = 2**32 - 1
_EARLY: Final = timedelta(seconds=2)
"""By so much may gRPC's C core end a call too early (measured), which must fail none."""
_RETRIED: Final = {Retry.DEFAULT: "cancelled,unavailable", Retry.IDEMPOTENT: "cancelled,unavailable"}
"""What a server never began on gRPC sends again by itself, so `safe` needs no word; a connection that breaks in the
middle of a call is `unavailable`."""
_RETRIES: Final = 4
"""gRPC makes five attempts at most."""


def listener(name: str) -> Resource:
    """Make the listener of a name, which only says where its route is: under the same name."""
    router = hcm_pb2.HttpFilter(name="envoy.filters.http.router", typed_config=_any(router_pb2.Router()))
    manager = hcm_pb2.HttpConnectionManager(
        stat_prefix="proxyless",
        rds=hcm_pb2.Rds(config_source=_OVER_ADS, route_config_name=name),
        http_filters=[router],
    )
    return pack(listener_pb2.Listener(name=name, api_listener=api_listener_pb2.ApiListener(api_listener=_any(manager))))


def route(name: str, to: str, retry: Retry, max_timeout: str | None) -> Resource:
    """Make the route of a name: every call to one cluster, whatever authority the app says it calls."""
    action = route_components_pb2.RouteAction(cluster=to)
    if retry in _RETRIED:
        action.retry_policy.CopyFrom(_retry_policy(_RETRIED[retry]))
    if max_timeout is not None:
        longest = Duration()
        longest.FromJsonString(max_timeout)
        action.max_stream_duration.max_stream_duration.FromTimedelta(longest.ToTimedelta() + _EARLY)
    everything = route_components_pb2.Route(match=route_components_pb2.RouteMatch(prefix=""), route=action)
    host = route_components_pb2.VirtualHost(name=to, domains=["*"], routes=[everything])
    return pack(route_pb2.RouteConfiguration(name=name, virtual_hosts=[host]))


def no_route(name: str) -> Resource:
    """Make the route of a name that no Service can have: calls fail at once."""
    return pack(route_pb2.RouteConfiguration(name=name))


def cluster(name: str, lb_policy: LbPolicy) -> Resource:
    """Make a cluster whose endpoints have the same name.

    The policy stands alone and not inside one that picks a locality by weight, as `lb_policy` would have it: that picks
    at random, and calls would be even only in the long run. Libraries that do not know `load_balancing_policy` read it.
    """
    policies = [round_robin_pb2.RoundRobin()]
    if lb_policy is LbPolicy.LEAST_REQUEST:
        # The first that a library knows counts; the C core has no such policy.
        policies.insert(0, least_request_pb2.LeastRequest(choice_count={"value": 2}))
    return pack(
        cluster_pb2.Cluster(
            name=name,
            type="EDS",
            eds_cluster_config=cluster_pb2.Cluster.EdsClusterConfig(eds_config=_OVER_ADS, service_name=name),
            lb_policy="ROUND_ROBIN",
            load_balancing_policy=cluster_pb2.LoadBalancingPolicy(policies=map(_policy, policies)),
            circuit_breakers={"thresholds": [{"max_requests": {"value": _NO_LIMIT}}]},
        )
    )


def _retry_policy(retry_on: str) -> Any:
    back_off = route_components_pb2.RetryPolicy.RetryBackOff(
        base_interval=Duration(nanos=25_000_000), max_interval=Duration(nanos=250_000_000)
    )
    return route_components_pb2.RetryPolicy(retry_on=retry_on, num_retries={"value": _RETRIES}, retry_back_off=back_off)


def _policy(config: Any) -> Any:
    name = config.DESCRIPTOR.full_name
    return cluster_pb2.LoadBalancingPolicy.Policy(typed_extension_config={"name": name, "typed_config": _any(config)})


def _any(message: Any) -> Any:
    packed = any_pb2.Any()
    packed.Pack(message, deterministic=True)
    return packed
