"""Every EndpointSlice, followed from the API server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tests.builders import endpoint_slice
from tests.kube.apiserver import ApiServer, answers, status
from tests.kube.kit import Json, Time, running, until
from webhook.core.endpoints import EndpointBook
from webhook.core.model import ServiceRef
from webhook.kube.api import Api
from webhook.kube.endpoints import EndpointSlices, trim_endpoints
from webhook.kube.metrics import DiscoveryMetrics
from webhook.kube.reflector import Key
from webhook.kube.resources import ENDPOINT_SLICES

PATH = ENDPOINT_SLICES.path()
PORT = {"name": "grpc", "port": 50051, "protocol": "TCP"}
ORDERS = ServiceRef("shop", "orders")


def slice_of(name: str, *addresses: str, **more: Any) -> Json:
    """Make an EndpointSlice of the Service `orders`, as the controller does for one with a cluster address."""
    found = endpoint_slice("orders", PORT)
    found["metadata"]["name"] = name
    found["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] = "endpointslice-controller.k8s.io"
    endpoints = [
        {
            "addresses": [address],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": "node-a",
            "zone": "z1",
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": f"orders-{address}", "uid": f"uid-{address}"},
            **more,
        }
        for address in addresses
    ]
    return {**found, "endpoints": endpoints}


class Following:
    """A follower, and the book that it fills."""

    def __init__(self, api: Api, time: Time) -> None:
        self.book = EndpointBook()
        self.puts: list[tuple[str, bool]] = []
        self.registry = CollectorRegistry()
        self.slices = EndpointSlices(api, self._put, DiscoveryMetrics(self.registry), pace=time.pace())

    def _put(self, key: Key, document: Json | None) -> None:
        self.puts.append((key.name, document is not None))
        self.book.put(key, document)

    def addresses(self) -> list[str]:
        """Give who serves the Service `orders`."""
        return [one.addresses[0] for one in self.book.endpoints(ORDERS, "grpc")]

    def metric(self, name: str) -> float | None:
        """Read a metric."""
        return self.registry.get_sample_value(f"evenkeel_discovery_{name}", {"resource": "endpointslices"})


Followed = Callable[..., Any]


@pytest.fixture
def followed(server: ApiServer, api: Api) -> Followed:
    """Give a way to follow the slices that are in the server."""

    @asynccontextmanager
    async def follow(*slices: Json) -> AsyncIterator[Following]:
        server._objects.setdefault(PATH, {})
        for one in slices:
            await server.put(PATH, one)
        found = Following(api, Time())
        async with running(found.slices.run()):
            yield found

    return follow


async def test_slices_are_known_once_all_pages_are_in(server: ApiServer, followed: Followed) -> None:
    """Those of Services with a cluster address too; nothing is ready before."""
    server.limit = 1
    async with followed(*(slice_of(f"orders-{n}", f"10.0.0.{n}") for n in range(1, 6))) as one:
        missing = one.slices.missing()
        await one.slices.wait_synced()

        assert missing == "the endpointslices of the cluster are not known yet"
        assert one.slices.missing() is None
        assert one.addresses() == [f"10.0.0.{n}" for n in range(1, 6)]
        assert one.metric("objects") == 5


async def test_pages_are_short_and_only_slices_of_services_are_asked_for(server: ApiServer, followed: Followed) -> None:
    """A slice may have a thousand endpoints, each some kilobytes while it is read."""
    async with followed(slice_of("orders-1", "10.0.0.1")) as one:
        await one.slices.wait_synced()
        await until(lambda: server.open(PATH))

    assert {call.query["labelSelector"] for call in server.calls} == {"kubernetes.io/service-name"}
    assert [call.query["limit"] for call in server.asked(PATH, watch=False)] == ["100"]


async def test_changes_are_put_one_by_one(server: ApiServer, followed: Followed) -> None:
    """A slice that was only written anew is no change."""
    async with followed(slice_of("orders-1", "10.0.0.1")) as one:
        await until(lambda: server.open(PATH))
        await server.put(PATH, slice_of("orders-2", "10.0.0.2"))
        await server.put(PATH, slice_of("orders-1", "10.0.0.1", hostname="another"))
        await server.put(PATH, slice_of("orders-1", "10.0.0.3"))
        await server.remove(PATH, slice_of("orders-2"))
        await until(lambda: len(one.puts) == 4)

        assert one.puts == [("orders-1", True), ("orders-2", True), ("orders-1", True), ("orders-2", False)]
        assert one.addresses() == ["10.0.0.3"]


async def test_an_expired_watch_ends_in_the_state_of_the_new_list(server: ApiServer, followed: Followed) -> None:
    """What was deleted while nobody watched is taken away, what has not changed is not put again."""
    before = [slice_of(f"orders-{n}", f"10.0.0.{n}") for n in range(1, 4)]
    async with followed(*before) as one:
        await until(lambda: server.open(PATH))
        one.puts.clear()
        del server._objects[PATH]["shop/orders-1"]
        server._objects[PATH]["shop/orders-2"] = server._stamped(slice_of("orders-2", "10.0.0.9"))
        server.expire()
        server.cut()
        await until(lambda: len(one.puts) == 2)

        assert sorted(one.puts) == [("orders-1", False), ("orders-2", True)]
        assert one.addresses() == ["10.0.0.3", "10.0.0.9"]


async def test_while_the_api_server_is_gone_what_was_known_stays(server: ApiServer, followed: Followed) -> None:
    """And what changed meanwhile is known when it is back."""
    async with followed(slice_of("orders-1", "10.0.0.1")) as one:
        await until(lambda: server.open(PATH))
        await server.stop()
        await until(lambda: one.metric("connected") == 0)
        meanwhile = one.addresses(), one.slices.missing()
        await server.put(PATH, slice_of("orders-1", "10.0.0.2"))
        await server.start()
        await until(lambda: one.metric("connected") == 1)
        await until(lambda: one.addresses() == ["10.0.0.2"])

        assert meanwhile == (["10.0.0.1"], None)


async def test_without_the_right_to_list_it_is_said_who_has_to_do_what(server: ApiServer, followed: Followed) -> None:
    """For readiness."""
    text = 'endpointslices is forbidden: User "x" cannot list resource "endpointslices" in API group "discovery.k8s.io"'
    server.faults += [(f"list {PATH}", answers(lambda: status(403, "Forbidden", text)))] * 50
    async with followed() as one:
        await until(lambda: "may not list" in str(one.slices.missing()))

        assert str(one.slices.missing()).startswith("the endpointslices of the cluster are not known yet: GET ")


def test_little_is_kept_of_an_endpoint() -> None:
    """Where it is, and its conditions where they are not the usual ones."""
    found = slice_of("orders-1", "10.0.0.1")
    found["endpoints"].append(
        {"addresses": ["10.0.0.2", "10.0.0.3"], "conditions": {"ready": False, "serving": True, "terminating": True}}
    )

    assert json.loads(trim_endpoints(found)) == {
        "metadata": {"namespace": "shop", "name": "orders-1", "labels": {"kubernetes.io/service-name": "orders"}},
        "addressType": "IPv4",
        "ports": [PORT],
        "endpoints": [
            {"addresses": ["10.0.0.1"], "zone": "z1", "targetRef": {"uid": "uid-10.0.0.1"}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": False, "serving": True, "terminating": True}},
        ],
    }


FLAGS = st.none() | st.booleans()
CONDITIONS = st.none() | st.fixed_dictionaries({}, optional={"ready": FLAGS, "serving": FLAGS, "terminating": FLAGS})
ENDPOINTS = st.fixed_dictionaries(
    {
        "addresses": st.lists(
            st.sampled_from(["10.0.0.1", "10.0.0.2", "fd00::1", "pod.example"]), min_size=1, max_size=3
        )
    },
    optional={
        "conditions": CONDITIONS,
        "zone": st.sampled_from(["", "z1"]) | st.none(),
        "targetRef": st.none() | st.fixed_dictionaries({}, optional={"uid": st.sampled_from(["a", "b"])}),
        "hostname": st.just("x"),
    },
)
PORTS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["", "grpc"]) | st.none(),
        "port": st.sampled_from([50051, 0, 70000]) | st.none(),
        "endPort": st.none() | st.just(50060),
        "protocol": st.sampled_from(["TCP", "UDP"]) | st.none(),
        "appProtocol": st.just("grpc"),
    },
)


@given(
    st.sampled_from(["IPv4", "IPv6", "FQDN"]), st.none() | st.lists(PORTS, max_size=3), st.lists(ENDPOINTS, max_size=4)
)
def test_what_is_trimmed_reads_the_same(kind: str, ports: list[Json] | None, endpoints: list[Json]) -> None:
    """Endpoints and problems alike."""
    found = slice_of("orders-1") | {"addressType": kind, "ports": ports, "endpoints": endpoints}
    whole, trimmed = EndpointBook(), EndpointBook()
    whole.put("key", found)
    trimmed.put("key", orjson.loads(trim_endpoints(found)))

    assert [trimmed.endpoints(ORDERS, name) for name in ("", "grpc")] == [
        whole.endpoints(ORDERS, name) for name in ("", "grpc")
    ]
    assert {problem.code for problem in trimmed.problems} == {problem.code for problem in whole.problems}
