"""The zones of clients' nodes."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from tests.kube.kit import running
from tests.xds.auth import Cluster
from webhook.xds.memory import Memory
from webhook.xds.zones import Zones


class Known:
    """Zones, and a clock."""

    def __init__(self, cluster: Cluster) -> None:
        self.now = 0.0
        self.zones = Zones(cluster, now=lambda: self.now)


async def test_a_node_is_asked_for_once() -> None:
    """However many of its Pods come at once, or later."""
    cluster = Cluster()
    known = Known(cluster)
    async with running(known.zones.run()):
        found = await asyncio.gather(*(known.zones.of("node-a") for _ in range(20)))
        found.append(await known.zones.of("node-a"))

    assert set(found) == {"z1"}
    assert cluster.looked_up == ["node-a"]


@pytest.mark.parametrize("node", [{}, {"metadata": {}}, {"metadata": {"labels": {"a": "b"}}}, None])
async def test_a_node_without_a_zone_or_no_node_has_none_for_a_while(node: object) -> None:
    """A cloud's controller writes the label when the node has long begun."""
    cluster = Cluster()
    known = Known(cluster)
    if node is not None:
        cluster.nodes["node-b"] = node  # type: ignore[assignment]
    async with running(known.zones.run()):
        first = [await known.zones.of("node-b"), await known.zones.of("node-b")]
        cluster.nodes["node-b"] = {"metadata": {"labels": {"topology.kubernetes.io/zone": "z2"}}}
        known.now += 31
        later = await known.zones.of("node-b")

    assert (first, later) == (["", ""], "z2")
    assert len(cluster.looked_up) == 2


async def test_no_node_is_no_question() -> None:
    """Older API servers do not say which it is."""
    cluster = Cluster()

    assert await Known(cluster).zones.of("") == ""
    assert cluster.looked_up == []


async def test_a_node_that_came_back_in_another_zone_is_noticed() -> None:
    """Names of nodes are used again."""
    cluster = Cluster()
    known = Known(cluster)
    async with running(known.zones.run()):
        await known.zones.of("node-a")
        cluster.nodes["node-a"] = {"metadata": {"labels": {"topology.kubernetes.io/zone": "z9"}}}
        known.now += 601

        assert await known.zones.of("node-a") == "z9"


async def test_without_an_api_server_what_was_known_stays_true_and_it_is_said_once() -> None:
    """And who is not known is served evenly."""
    cluster = Cluster()
    known = Known(cluster)
    with structlog.testing.capture_logs() as logs:
        async with running(known.zones.run()):
            await known.zones.of("node-a")
            cluster.gone = True
            known.now += 601
            found = [await known.zones.of("node-a"), await known.zones.of("node-b"), await known.zones.of("node-c")]

    assert found == ["z1", "", ""]
    assert [line["event"] for line in logs] == ["the zone of a node cannot be asked for: its Pods are served evenly"]


async def test_a_node_s_name_cannot_lead_elsewhere() -> None:
    """It comes from a token that the API server believes; all the same it stays one name."""
    cluster = Cluster()
    known = Known(cluster)
    async with running(known.zones.run()):
        await known.zones.of("../secrets/x?y")

    assert cluster.looked_up == ["..%2Fsecrets%2Fx%3Fy"]


def test_a_memory_holds_what_was_asked_for_last() -> None:
    """And no more than so much."""
    memory: Memory[str, int] = Memory(2)
    memory.put("a", 1)
    memory.put("b", 2)
    memory.get("a")
    memory.put("c", 3)

    assert (memory.get("a"), memory.get("b"), memory.get("c"), len(memory)) == (1, None, 3, 2)

    memory.forget("a")
    memory.forget("never known")
    assert memory.get("a") is None
