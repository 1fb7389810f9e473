"""The seeds' apps reached through their sidecars' ingress, and what else a Pod's address offers."""

import asyncio
import time

import httpx
import pytest
import pytest_asyncio

from tests.e2e.kit.scrape import scrape
from webhook.demo.scenario import manifests

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hoge(world):
    """Apply the example, small."""
    documents = [
        {**each, "spec": {**each["spec"], "replicas": 1}} if each["kind"] == "Deployment" else each
        for each in manifests("hoge")
    ]
    await world.cluster.apply(documents, namespace="hoge")
    end = time.monotonic() + 15
    while (await world.callers("hoge", "hoge-gateway").run(rpcs=1)).failed:
        assert time.monotonic() < end
        await asyncio.sleep(0.2)
    return world


async def test_ingress_forwards_http_1_to_the_app(hoge):
    """The gateway's own HTTP/1.1 port, through 15001."""
    gateway = hoge.deployment("hoge", "hoge-gateway").pods[0]
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://{gateway.address}:15001/")

    assert (answer.status_code, answer.http_version) == (200, "HTTP/1.1")
    assert answer.text.startswith("ok, calling localhost:9001")


async def test_ingress_forwards_http_2_to_the_app(hoge):
    """The gateway's egress reaches the app's 15001, which forwards gRPC to its port 50051."""
    app = hoge.deployment("hoge", "hoge-app").pods[0]
    before = await _http2_requests(app.address)
    tally = await hoge.callers("hoge", "hoge-gateway").run(rpcs=50)

    assert dict(tally.backends) == {app.address: 50}
    assert await _http2_requests(app.address) - before == 50


async def test_the_probe_port_offers_readiness_and_metrics_and_nothing_else(hoge):
    """What kubelet and Prometheus need; nothing of Envoy's admin, whose port is not reachable from outside."""
    app = hoge.deployment("hoge", "hoge-app").pods[0]
    statuses = {
        path: (await _get(app.address, 19021, path)).status_code
        for path in ("/ready", "/stats/prometheus", "/config_dump", "/quitquitquit", "/ready/../stats", "/")
    }

    assert statuses == {
        "/ready": 200,
        "/stats/prometheus": 200,
        "/config_dump": 404,
        "/quitquitquit": 404,
        "/ready/../stats": 404,
        "/": 404,
    }
    with pytest.raises(httpx.ConnectError):
        await _get(app.address, 8001, "/")
    with pytest.raises(httpx.ConnectError):
        await _get(app.address, 9001, "/")


async def _http2_requests(address):
    """Ask the sidecar how many requests came to its ingress over HTTP/2."""
    name, labels = "envoy_http_downstream_rq_http2_total", {"envoy_http_conn_manager_prefix": "ingress"}
    return sum(sample.value for sample in await scrape(address) if (sample.name, sample.labels) == (name, labels))


async def _get(address, port, path):
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://{address}:{port}{path}")
