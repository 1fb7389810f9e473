"""Self-managed certificates: one CA for all replicas, changed again and again, and no Pod without its sidecar."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.cluster.kit.install import until
from tests.cluster.kit.secret import (
    CONFIGURATIONS,
    HOOKS,
    SECRET,
    bundles,
    der,
    earlier,
    fail_opens,
    generations,
    leaf_made_ago,
    made_ago,
    rewrite,
    served,
    stored,
)
from tests.cluster.kit.stream import stream
from webhook.core import names
from webhook.tls.plan import SPREAD

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

CHANGES = "evenkeel_managed_certificate_changes_total"
WEEK = timedelta(days=7)


async def test_two_replicas_that_start_at_once_make_one_ca_and_serve_one_leaf(world, evenkeel) -> None:
    """Whoever is second takes what is there: the Secret is filled once, each configuration written once."""
    state = await stored(world.rest)

    async def agreed() -> bool:
        return await served(evenkeel) == {der(state.leaf.certificate)}

    await until(agreed, "one leaf served by both")
    assert len(evenkeel.replicas()) == 2
    assert await evenkeel.metric(CHANGES) == 1
    assert await generations(world.rest) == [2, 2]
    assert set(await bundles(world.rest)) == {b64encode(state.bundle).decode()}
    assert len(state.authorities) == 1


async def test_a_ca_bundle_that_somebody_overwrote_is_mended(world, evenkeel) -> None:
    """By the next look, and by one write."""
    right, before = await bundles(world.rest), await generations(world.rest)
    path = f"{HOOKS}/{CONFIGURATIONS[0]}"
    found = await world.rest.get(path)
    strange = b64encode(made_ago(WEEK, WEEK).bundle).decode()
    for webhook in found["webhooks"]:
        webhook["clientConfig"]["caBundle"] = strange
    await world.rest.put(path, found)

    await until(lambda: _equal(bundles(world.rest), right), "mended")

    await evenkeel.called()
    assert await generations(world.rest) == [before[0] + 2, before[1]]
    await until(lambda: _equal(evenkeel.metric("evenkeel_certificate_published"), 2), "found right by both")


async def test_a_deleted_secret_brings_a_new_ca_and_no_pod_is_bare(world, evenkeel) -> None:
    """Written again from memory, and its CA changed in stages; the waits between them are set forward."""
    await world.namespace("certificates-authority", {names.INJECT: names.ENABLED})
    before, opened = await stored(world.rest), await fail_opens(world)
    async with stream(world.rest, "certificates-authority") as pods:
        await world.rest.delete(SECRET)
        await until(lambda: _holds(world, lambda state: state.published), "the next CA published beside the old one")
        announced = await stored(world.rest)
        await pods.goes_on()

        await rewrite(world.rest, lambda state: earlier(state, SPREAD))
        await until(lambda: _holds(world, lambda state: state.leaving), "the next CA signs")
        promoted = await stored(world.rest)
        await until(lambda: _equal(served(evenkeel), {der(promoted.leaf.certificate)}), "its leaf served by all")
        await pods.goes_on()

        await rewrite(world.rest, lambda state: earlier(state, WEEK))
        await until(lambda: _holds(world, lambda state: not state.leaving), "the old CA gone")
        retired = await stored(world.rest)
        await until(lambda: _equal(bundles(world.rest), [b64encode(retired.bundle).decode()] * 3), "published")
        await pods.goes_on()

    assert (announced.leaf, announced.signing) == (before.leaf, before.signing)
    assert announced.authorities == (before.signing.certificate, announced.coming.certificate)
    assert promoted.signing == announced.coming
    assert promoted.authorities == (announced.coming.certificate, before.signing.certificate)
    assert retired.authorities == (promoted.signing.certificate,)
    assert pods.harmed == {}
    assert pods.injected == pods.asked > 60
    assert await fail_opens(world) == opened
    assert {pod.statuses["webhook"].restarts for pod in evenkeel.replicas()} == {0}


async def test_a_leaf_is_renewed_and_an_old_ca_gets_its_successor_unasked(world, evenkeel) -> None:
    """As in an installation 250 days old, when its leaf is five days old."""
    await world.namespace("certificates-leaf", {names.INJECT: names.ENABLED})
    old = made_ago(timedelta(days=250), timedelta(days=1))
    opened, renewed = await fail_opens(world), await evenkeel.metric(CHANGES, reason="leaf-old")
    async with stream(world.rest, "certificates-leaf") as pods:
        # What the replicas serve until they have seen it stays published.
        await rewrite(world.rest, lambda state: replace(old, leaving=state.authorities, until=datetime.now(UTC) + WEEK))
        await until(lambda: _equal(served(evenkeel), {der(old.leaf.certificate)}), "the old leaf served by both")
        await pods.goes_on()
        aged = leaf_made_ago(old.signing, timedelta(days=5))
        await rewrite(world.rest, lambda state: replace(state, leaf=aged))
        await until(lambda: _holds(world, lambda state: state.leaf != aged), "the leaf renewed")
        state = await stored(world.rest)
        await until(lambda: _equal(served(evenkeel), {der(state.leaf.certificate)}), "it served by both")
        await pods.goes_on()

    assert await evenkeel.metric(CHANGES, reason="leaf-old") == renewed + 1
    assert state.signing == old.signing
    assert state.coming is not None
    assert pods.harmed == {}
    assert pods.injected == pods.asked > 40
    assert await fail_opens(world) == opened


async def _holds(world, what) -> bool:
    return bool(what(await stored(world.rest)))


async def _equal(coming, wanted) -> bool:
    return await coming == wanted
