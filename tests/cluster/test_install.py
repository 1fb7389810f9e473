"""An installation as the README has it, from the first command to the last."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.cluster.kit.ads import endpoints, token_of
from tests.cluster.kit.install import NAMESPACE, XDS, injected, pod, until
from tests.cluster.kit.secret import der, leaf_made_ago, rewrite, served, stored
from webhook.core import names

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]


async def test_pods_of_a_labelled_namespace_are_injected(world, evenkeel) -> None:
    """And carry the label by which they are found."""
    await world.namespace("install-labelled", {names.INJECT: names.ENABLED})

    created = await evenkeel.dry_run("install-labelled")

    assert injected(created)
    assert created["metadata"]["labels"][names.INJECTED] == names.INJECTED_VALUE


async def test_the_control_plane_of_endpoints_waits_for_the_certificate_and_serves_with_it(world, evenkeel) -> None:
    """Its Secret came empty, so its Pods came up later, by themselves; a Pod's token is enough to be told."""
    await world.namespace("install-endpoints")
    caller = await world.rest.post("/api/v1/namespaces/install-endpoints/pods", pod(name="caller"))
    state, token = await stored(world.rest), await token_of(world.rest, caller)
    host, name = f"{XDS}.{NAMESPACE}.svc", "orders.install-endpoints:50051"

    told = [await endpoints(f"{one.address}:18000", state.bundle, host, token, name) for one in evenkeel.replicas(XDS)]

    assert [name.encode() in answer for answer in told] == [True, True]
    assert _restarts(evenkeel) == {0}


async def test_a_renewed_certificate_is_served_by_the_control_plane_without_a_restart(world, evenkeel) -> None:
    """As soon as the kubelet has brought the files."""
    before = (await stored(world.rest)).leaf
    begun = await served(evenkeel, XDS)
    state = await rewrite(world.rest, lambda now: replace(now, leaf=leaf_made_ago(now.signing, timedelta(hours=1))))

    async def follows() -> bool:
        return await served(evenkeel, XDS) == {der(state.leaf.certificate)}

    await until(follows, "the renewed certificate served by both")

    assert begun == {der(before.certificate)}
    assert _restarts(evenkeel) == {0}


def _restarts(evenkeel) -> set[int]:
    return {one.statuses["xds"].restarts for one in evenkeel.replicas(XDS)}
