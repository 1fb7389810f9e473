"""The webhook is away: Pods are created all the same, the policies speak, and nobody else notices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.kit.calls import BY_NAMESPACE, BY_POD, calls
from tests.cluster.kit.install import NAMESPACE, WEBHOOK, injected, pod, until
from tests.cluster.kit.outage import OUTAGES, killed
from tests.cluster.kit.rest import RestError
from webhook.core import names

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

NAMESPACES = {
    "labelled": {names.INJECT: "enabled"},
    "enforced": {names.INJECT: "enabled", names.ENFORCE: "enabled"},
    "disabled": {names.INJECT: "disabled"},
    "other": {},
}
NOT_OURS = {
    "outage-other": {},
    "outage-disabled": {},
    "outage-labelled": {names.INJECT: "disabled"},
    NAMESPACE: {},
}
"""Namespaces, and Pods in them, that nobody asked a sidecar for or that cannot have one."""
OURS = f"/api/v1/namespaces/{NAMESPACE}"
LASTING = [name for name in OUTAGES if name != "killed"]


@dataclass(frozen=True, slots=True)
class Created:
    """What became of a Pod."""

    seconds: float
    injected: bool = False
    warned: bool = False
    refused: str = ""

    @property
    def bare(self) -> bool:
        """Whether it was created without a sidecar."""
        return not self.injected and not self.refused


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def _namespaces(world, evenkeel) -> AsyncIterator[None]:
    """Have a namespace for everything that matters here; somebody has labelled ours as well."""
    for word, labels in NAMESPACES.items():
        await world.namespace(f"outage-{word}", labels)
    await world.rest.patch(OURS, {"metadata": {"labels": NAMESPACES["enforced"]}})
    yield
    await world.rest.patch(OURS, {"metadata": {"labels": dict.fromkeys(NAMESPACES["enforced"])}})


@pytest.mark.parametrize("outage", LASTING)
async def test_pods_are_created_and_nobody_else_notices(world, evenkeel, outage) -> None:
    """Bare with a warning, or denied where bare Pods are; injected again as soon as the webhook is back.

    Not one call is made for Pods and namespaces that did not ask, nor for the webhook's own Pods. Those that did ask
    wait for no longer than the entry's timeoutSeconds, 3; what else it takes depends on the machine.
    """
    async with OUTAGES[outage](evenkeel):
        await _until_away(world)
        async with calls(world) as made_for_others:
            others = await asyncio.gather(
                *(_create(world, path, **labels) for path, labels in NOT_OURS.items() for _ in range(15))
            )
        async with calls(world) as made:
            labelled, opted_in, enforced = await asyncio.gather(
                _create(world, "outage-labelled"),
                _create(world, "outage-other", **{names.INJECT: "enabled"}),
                _create(world, "outage-enforced"),
            )
        await _apply_workload(world)

    print(f"{outage}: created after {labelled.seconds:.2f} s, denied after {enforced.seconds:.2f} s")
    print(f"{outage}: 60 Pods that did not ask, the slowest after {max(one.seconds for one in others):.2f} s")
    assert made_for_others == {}
    assert [(one.bare, one.warned) for one in others] == [(True, False)] * 60
    assert [(one.bare, one.warned) for one in (labelled, opted_in)] == [(True, True)] * 2
    assert "has no Evenkeel sidecar, so its gRPC calls are not balanced" in enforced.refused
    assert {name: made[f"open {name}"] for name in (BY_NAMESPACE, BY_POD)} == {BY_NAMESPACE: 2, BY_POD: 1}
    await _back(world, evenkeel)


async def test_killed_in_the_middle_of_a_stream_of_pods(world, evenkeel) -> None:
    """Every one is created; one without a sidecar is warned about, and after a while there are no more of those."""
    found: list[Created] = []
    begun = time.monotonic()
    while not _recovered(found):
        if len(found) == 10:
            async with killed(evenkeel):
                found.append(await _create(world, "outage-labelled"))
        found.append(await _create(world, "outage-labelled"))
        await asyncio.sleep(0.02)
        assert time.monotonic() - begun < 60, "no Pod is injected again"

    bare = [one for one in found if one.bare]
    print(f"killed: {len(found)} Pods, {len(bare)} bare, 0 refused")
    assert [one.refused for one in found] == [""] * len(found)
    assert len(bare) >= 1
    assert [one.warned for one in found] == [one.bare for one in found]


async def _create(world: Any, namespace: str, **labels: str) -> Created:
    begun = time.monotonic()
    path = f"/api/v1/namespaces/{namespace}/pods"
    try:
        document, warnings = await world.rest.post_with_warnings(path, pod(labels=labels), dryRun="All")
    except RestError as error:
        return Created(refused=error.message, seconds=time.monotonic() - begun)
    warned = any("has no Evenkeel sidecar" in one for one in warnings)
    return Created(injected=injected(document), warned=warned, seconds=time.monotonic() - begun)


async def _apply_workload(world: Any) -> None:
    """Apply a Deployment, which nobody holds up either, and wait until its Pod is there."""
    told = await world.apply([_deployment()], namespace="outage-labelled")
    await until(lambda: world.pods("outage-labelled", "app=workload"), "created")
    await world.delete([_deployment()], namespace="outage-labelled")
    await world.gone("outage-labelled")
    assert told == []


async def _until_away(world: Any) -> None:
    """Wait until the API server has heard of it too: it hears of endpoints a moment later than we."""

    async def bare() -> bool:
        return (await _create(world, "outage-labelled")).bare

    await until(bare, "away")


async def _back(world: Any, evenkeel: Any) -> None:
    """Have it again, in the namespace too that denies what is bare."""
    await world.available(NAMESPACE, WEBHOOK)

    async def well() -> bool:
        return all([(await _create(world, f"outage-{word}")).injected for word in ("labelled", "enforced")])

    await until(well, "injected again")


def _recovered(found: list[Created]) -> bool:
    """Say whether there were bare ones, and then thirty in a row that were not."""
    return any(one.bare for one in found) and all(one.injected for one in found[-30:]) and len(found) > 40


def _deployment() -> Any:
    labels = {"app": "workload"}
    template = {"metadata": {"labels": labels}, "spec": pod()["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "workload"}, "spec": spec}
