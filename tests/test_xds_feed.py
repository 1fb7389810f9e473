"""From the API server to what clients are told."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from envoy.config.endpoint.v3 import endpoint_pb2
from google.protobuf import any_pb2
from prometheus_client import CollectorRegistry

from tests import builders
from tests.kube.kit import running, until
from tests.xds.process import Judge, addresses, orders
from webhook.compose.xds_feed import Feed
from webhook.core import names
from webhook.kube.api import Api
from webhook.kube.metrics import DiscoveryMetrics
from webhook.kube.resources import ENDPOINT_SLICES, SERVICES
from webhook.observe import CatalogMetrics
from webhook.settings import Settings
from webhook.xds.identity import Identity
from webhook.xds.source import CDS, EDS, LDS, RDS

ORDERS = "orders.shop:50051"
SHOP, STORE = Identity("shop"), Identity("store")


class Fed:
    """A feed, the API server behind it, and what was told."""

    def __init__(self, server: Judge, api: Api) -> None:
        registry = CollectorRegistry()
        self.server = server
        self.told: list[tuple[str, frozenset[str]]] = []
        self.since: list[float] = []
        self.feed = Feed(api, CatalogMetrics(registry), DiscoveryMetrics(registry), registry, Settings())
        self.feed.tell(self._tell)

    def _tell(self, type_url: str, changed: Iterable[str], *, since: float | None = None) -> None:
        self.told.append((type_url, frozenset(changed)))
        self.since.append(since or 0.0)

    def serves(self, client: Identity = SHOP) -> list[str]:
        """Give the addresses that a client would be told."""
        resource = self.feed.sources[EDS].get(client, ORDERS)
        assert resource is not None
        assignment = endpoint_pb2.ClusterLoadAssignment()
        assert any_pb2.Any.FromString(resource.body).Unpack(assignment)
        return addresses(assignment)

    def heard(self, type_url: str, name: str) -> bool:
        """Say whether it was told that a resource may be another."""
        return any(kind == type_url and name in changed for kind, changed in self.told)


@pytest.fixture
async def fed(tmp_path: Path) -> AsyncIterator[Fed]:
    """Feed from an API server that has one Service."""
    server = await Judge().start()
    await server.serve_orders("10.1.1.1")
    async with Api.connect(server.kubeconfig(tmp_path)) as api:
        one = Fed(server, api)
        async with running(one.feed.run()):
            yield one
    await server.stop()


async def settled(fed: Fed) -> None:
    """Wait until everything is known and watched."""
    await fed.feed.wait_complete()
    await until(lambda: len(fed.server.open(ENDPOINT_SLICES.path())) == 3)
    fed.told.clear()


async def test_all_is_known_once_services_and_slices_are(fed: Fed) -> None:
    """Until then it says what is missing."""
    missing = fed.feed.missing()
    await fed.feed.wait_complete()

    assert missing is not None
    assert fed.feed.missing() is None
    assert fed.serves() == ["10.1.1.1"]
    assert set(fed.feed.sources) == {LDS, RDS, CDS, EDS}


async def test_a_changed_slice_is_told_at_once_by_name(fed: Fed) -> None:
    """Of endpoints alone, with the time at which it was seen."""
    await settled(fed)
    before = time.monotonic()
    await fed.server.put(ENDPOINT_SLICES.path(), orders("10.1.1.2", "10.1.1.3"))
    await until(lambda: fed.heard(EDS, ORDERS))

    assert fed.told == [(EDS, frozenset({ORDERS}))]
    assert before <= fed.since[-1] <= time.monotonic()
    assert fed.serves() == ["10.1.1.2", "10.1.1.3"]


async def test_a_service_that_goes_and_comes_is_told_of_in_every_type(fed: Fed) -> None:
    """Without it there are no endpoints, though its slices are still there; with it they are back."""
    await settled(fed)
    service = builders.service("orders")
    await fed.server.remove(SERVICES.path(), service)
    await until(lambda: fed.heard(EDS, ORDERS))
    gone, told = fed.serves(), {kind for kind, changed in fed.told if changed}
    fed.told.clear()
    await fed.server.put(SERVICES.path(), service)
    await until(lambda: fed.heard(EDS, ORDERS))

    assert (gone, fed.serves()) == ([], ["10.1.1.1"])
    assert told == {RDS, CDS, EDS}


async def test_an_export_is_told_to_those_whom_it_concerns(fed: Fed) -> None:
    """It changes nothing of the endpoints, and yet what another namespace sees of them."""
    await settled(fed)
    before = fed.serves(STORE)
    service = builders.service("orders")
    service["metadata"]["annotations"] = {names.EXPORT_TO: "store"}
    await fed.server.put(SERVICES.path(), service)
    await until(lambda: fed.heard(EDS, ORDERS))

    assert (before, fed.serves(STORE)) == ([], ["10.1.1.1"])


async def test_a_list_after_an_outage_tells_only_of_what_has_changed(fed: Fed) -> None:
    """A thousand sidecars are not written to because the API server was upgraded."""
    await fed.server.put(SERVICES.path(), builders.service("stock"))
    await settled(fed)
    fed.server._objects[ENDPOINT_SLICES.path()]["shop/orders-1"] = fed.server._stamped(orders("10.1.1.9"))
    fed.server.expire()
    fed.server.cut()
    await until(lambda: fed.serves() == ["10.1.1.9"])
    await until(lambda: len(fed.server.open(ENDPOINT_SLICES.path())) == 3)

    assert {name for _, changed in fed.told for name in changed} == {ORDERS}
