"""What Prometheus gets from a sidecar: who was called and how it ended; of Services nobody calls hardly anything."""

import asyncio
import re
import time
from collections import Counter

import pytest
import pytest_asyncio

from tests.builders import service
from tests.e2e.kit.scrape import scrape

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

IDLE = [f"idle-{number}" for number in range(20)]
ANSWERED, REFUSED = 40, 10
WAYS = {"echo.metrics_50051": {"authority": "echo"}, "through.metrics_15001": {"authority": "through"}}
"""By the label `envoy_cluster_name`, how the caller calls that upstream at localhost."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def metrics(world):
    """Have 20 Services that nobody calls and two that are called, with and without success."""
    await world.cluster.apply([service(name, namespace="metrics") for name in IDLE], namespace="metrics")
    await world.apply("metrics", "metrics")
    callers = world.callers("metrics")
    end = time.monotonic() + 15
    while any([(await callers.run(rpcs=4, **way)).failed for way in WAYS.values()]):
        assert time.monotonic() < end
        await asyncio.sleep(0.2)
    return world


async def test_calls_are_counted_by_upstream_and_by_the_status_of_grpc(metrics):
    """Those that the app made at localhost, by a captured name and through the servers' ingress."""
    before = await _counted(metrics, "caller")
    await _call(metrics, *WAYS.values(), {"target": "echo:50051"})
    found = await _counted(metrics, "caller") - before

    assert {key: found[key] for key in found if key[1] in WAYS} == {
        ("envoy_cluster_grpc_0_total", "echo.metrics_50051"): 2 * ANSWERED,
        ("envoy_cluster_grpc_5_total", "echo.metrics_50051"): 2 * REFUSED,
        ("envoy_cluster_grpc_0_total", "through.metrics_15001"): ANSWERED,
        ("envoy_cluster_grpc_5_total", "through.metrics_15001"): REFUSED,
    }


async def test_a_server_s_sidecar_counts_what_came_through_it(metrics):
    """By the status too, as calls of the cluster `app`; what came to the app's own port it does not see."""
    before = await _counted(metrics, "echo")
    await _call(metrics, *WAYS.values())
    found = await _counted(metrics, "echo") - before

    assert dict(found) == {
        ("envoy_cluster_grpc_0_total", "app"): ANSWERED,
        ("envoy_cluster_grpc_5_total", "app"): REFUSED,
    }


async def test_no_metric_is_called_after_a_service(metrics):
    """Services are values of a label. Otherwise each had metrics of its own, which no query could add up."""
    samples = await scrape(metrics.deployment("metrics", "caller").pods[0].address)
    called = {sample.name for sample in samples}
    clusters = {
        sample.labels.get("envoy_cluster_name") for sample in samples if sample.name.startswith("envoy_cluster_m")
    }

    assert not [name for name in called if "metrics_" in name or "echo" in name or "idle" in name or "50051" in name]
    assert {*WAYS, *(f"{name}.metrics_50051" for name in IDLE)} <= clusters


async def test_each_series_is_given_once(metrics):
    """As Prometheus refuses a whole answer otherwise."""
    samples = await scrape(metrics.deployment("metrics", "caller").pods[0].address)
    times = Counter((sample.name, frozenset(sample.labels.items())) for sample in samples)

    assert [series for series, count in times.items() if count > 1] == []


async def test_services_that_nobody_calls_cost_few_series(metrics):
    """All those that a Pod sees are known to its sidecar: were all counters given, each would be 190 series."""
    samples = await scrape(metrics.deployment("metrics", "caller").pods[0].address)
    series = Counter(sample.labels.get("envoy_cluster_name") for sample in samples)

    assert all(0 < series[f"{name}.metrics_50051"] <= 10 for name in IDLE), series
    assert all(series[name] > 40 for name in WAYS), series


async def _call(metrics, *ways):
    """Make calls that are answered, and some that fail, each of these ways."""
    callers = metrics.callers("metrics")
    for way in ways:
        answered = await callers.run(rpcs=ANSWERED, **way)
        refused = await callers.run(rpcs=REFUSED, metadata={"echo-status": "NOT_FOUND"}, **way)
        assert (answered.failed, refused.failed) == (0, REFUSED), (answered.errors, refused.errors)


async def _counted(metrics, name):
    """Add up what a Deployment's sidecars count of gRPC's statuses."""
    found = Counter()
    for pod in metrics.deployment("metrics", name).pods:
        for sample in await scrape(pod.address):
            if re.fullmatch(r"envoy_cluster_grpc_\d+_total", sample.name):
                found[sample.name, sample.labels["envoy_cluster_name"]] += int(sample.value)
    return found
