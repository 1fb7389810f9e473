"""Monitors, alerts and the queries of docs/metrics.md, by the operator's definitions and a real Prometheus."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from math import isclose
from typing import Final

import httpx
import pytest
import pytest_asyncio

from tests.cluster.kit import fleet
from tests.cluster.kit.certmanager import establish
from tests.cluster.kit.install import DEPLOYMENTS, ROOT, Installed, injected, installed, render
from tests.cluster.kit.monitoring import Prometheus, definitions, prometheus
from tests.cluster.kit.obtain import obtain
from tests.cluster.kit.rest import Json, documents
from tests.cluster.kit.world import World
from webhook.core import names
from webhook.core.model import Ports

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

SHOP = "monitored"
PAGE: Final = (ROOT / "docs" / "metrics.md").read_text()
COMPONENTS: Final = ROOT / "deploy" / "components"
SERVERS = 4
PATIENCE = 60.0
UPSTREAM = f"echo.{SHOP}_{fleet.PORT}"
PUSHED = f"{UPSTREAM}/pushed"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def evenkeel(world) -> AsyncIterator[Installed]:
    """Install Evenkeel with metrics by endpoint, beside the operator's definitions."""
    given = definitions()
    await establish(world.rest, given)
    objects = [_by_endpoint(one) for one in render(obtain("kustomize")["kustomize"], "self-managed")]
    async with installed(world, objects) as found:
        yield found
    await world.delete(given)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(world, evenkeel) -> Installed:
    """Have servers and two callers, one that asks the DNS for them and one that is told."""
    await world.namespace(SHOP, {names.INJECT: names.ENABLED}, run=True)
    told = fleet.caller("told", annotations={names.DISCOVERY: "xds"})
    await world.apply([fleet.service(), fleet.servers(replicas=SERVERS)], namespace=SHOP)
    await world.available(SHOP, "echo")
    await world.apply([fleet.caller("asks"), told], namespace=SHOP)
    for name in ("asks", "told"):
        await world.available(SHOP, name)
    return evenkeel


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watching(world, shop, tmp_path_factory) -> AsyncIterator[Prometheus]:
    """Have the monitors and alerts that are shipped accepted by the API server, and Prometheus follow them."""
    files = (("pod-monitor", "pod-monitor"), ("service-monitor", "service-monitor"), ("service-monitor", "service"),
             ("sidecar-monitor", "sidecar-monitor"), ("alerts", "alerts"))  # fmt: skip
    objects = [one for folder, file in files for one in documents(COMPONENTS / folder / f"{file}.yaml")]
    # A field that the definitions do not know is an error of a server-side apply.
    assert await world.apply(objects) == []
    monitors = [one for one in objects if one["kind"] in {"PodMonitor", "ServiceMonitor"}]
    rules = [one for one in objects if one["kind"] == "PrometheusRule"]
    program, folder = obtain("prometheus")["prometheus"], tmp_path_factory.mktemp("prometheus")
    async with prometheus(program, folder, world.plane.kubeconfig, monitors, rules) as found:
        yield found


async def test_every_program_and_every_sidecar_is_scraped_once(watching, world, shop) -> None:
    """By either monitor ours, by the third the sidecars: no Pod without one, and no other container."""
    own = {f"{pod.address}:8080" for name in DEPLOYMENTS for pod in shop.replicas(name)}
    ours = {f"{pod.address}:{Ports().probe}" for name in ("asks", "told") for pod in fleet.live(world, SHOP, name)}
    wanted = Counter(
        (f"{kind}/evenkeel", address, "up") for kind in ("PodMonitor", "ServiceMonitor") for address in own
    )
    wanted += Counter(("PodMonitor/evenkeel-sidecars", address, "up") for address in ours)

    async def wrong() -> list[str]:
        found = await watching.targets()
        # Other tests' Pods go on running.
        others = await _other_sidecars(world)
        return [str(one) for one in (found - wanted) + (wanted - found) if one[1] not in others]

    assert (len(own), len(ours)) == (6, 2)
    assert await _left(wrong) == []


async def test_every_alert_can_be_evaluated_and_none_begins_where_all_is_well(watching) -> None:
    """By Prometheus' own word. None waits for its time either: what fires in an hour is wrong now."""

    async def wrong() -> list[str]:
        found = await watching.alerts()
        assert len(found) >= 10
        return [
            f"{one['name']}: {one['health']}, {one['state']} {one.get('lastError', '')}"
            for one in found
            if (one["health"], one["state"]) != ("ok", "inactive")
        ]

    assert await _left(wrong) == []


async def test_the_queries_of_the_page_answer_what_is_called(watching, world, shop) -> None:
    """While both callers call, a tenth of it in vain: each query soon finds what is so."""
    queries = _queries()

    async def wrong() -> list[str]:
        found = {title: await watching.query(query) for title, query in queries.items()}
        return [f"{title}: {found[title]}" for title, right in EXPECTED.items() if not right(found[title])]

    assert queries.keys() == EXPECTED.keys()
    async with AsyncExitStack() as calls:
        for each in (fleet.callers(world, SHOP, name) for name in ("asks", "told")):
            await calls.enter_async_context(each.load("answered", rate=90))
            await calls.enter_async_context(each.load("refused", rate=10, metadata={"echo-status": "NOT_FOUND"}))
        assert await _left(wrong) == []


async def test_the_page_names_the_metrics_of_every_program(shop) -> None:
    """All of ours, and none that it has not."""
    said = _said()
    for letter, deployment in zip("WRX", DEPLOYMENTS, strict=True):
        assert await _told(shop.replicas(deployment)[0].address) == said[letter], deployment


def _for(right: Callable[[float], bool], *upstreams: str) -> Callable[[Mapping[str, float]], bool]:
    return lambda found: all(name in found and right(found[name]) for name in upstreams)


EXPECTED: Final = {
    "Calls a second": _for(lambda found: found > 10, UPSTREAM),
    "Share of failed calls": _for(lambda found: isclose(found, 0.1, abs_tol=0.03), UPSTREAM),
    "Duration in milliseconds, 99 of 100 calls": _for(lambda found: 0 < found < 10_000, UPSTREAM),
    "Calls that were tried again, a second": lambda found: not any(found.values()),
    "Endpoints that a sidecar knows": _for(lambda found: found == SERVERS, UPSTREAM, PUSHED),
    "How even the calls are": _for(lambda found: isclose(found, 1, abs_tol=0.05), UPSTREAM, PUSHED),
}
"""By a query's title on the page, what is right for an answer of it."""


async def _other_sidecars(world: World) -> set[str]:
    found = await world.rest.get("/api/v1/pods", labelSelector=names.INJECTED)
    pods = (one for one in found["items"] if one["metadata"]["namespace"] != SHOP)
    return {f"{one['status'].get('podIP')}:{Ports().probe}" for one in pods if injected(one)}


async def _left(wrong: Callable[[], Awaitable[list[str]]]) -> list[str]:
    """Give what is wrong still after a while, or nothing as soon as nothing is."""
    end = time.monotonic() + PATIENCE
    while (found := await wrong()) and time.monotonic() < end:
        await asyncio.sleep(1)
    return found


def _by_endpoint(document: Json) -> Json:
    """Switch the setting on, as its environment variable does."""
    if document["kind"] == "Deployment":
        (container,) = document["spec"]["template"]["spec"]["containers"]
        container.setdefault("env", []).append({"name": "EVENKEEL_SIDECAR_ENDPOINT_METRICS", "value": "true"})
    return document


def _queries() -> dict[str, str]:
    return dict(re.findall(r"^### ([^\n]+)\n(?:(?!^#).)*?```promql\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL))


def _said() -> dict[str, set[str]]:
    """Give the metrics of every program, by its letter on the page."""
    found: dict[str, set[str]] = {letter: set() for letter in "WRX"}
    for line in PAGE.splitlines():
        if line.startswith("| `evenkeel_"):
            _, metrics, programs, _ = (cell.strip() for cell in line.split("|", 3))
            for letter in programs.split():
                found[letter] |= set(re.findall(r"`(evenkeel_\w+)", metrics))
    return found


async def _told(address: str) -> set[str]:
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"http://{address}:8080/metrics")).text
    # When a counter began is said by another, which nobody asks for.
    return {name for name in re.findall(r"^# TYPE (evenkeel_\w+)", text, re.MULTILINE) if not name.endswith("_created")}
