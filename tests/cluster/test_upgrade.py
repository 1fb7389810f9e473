"""One version takes another's place and gives it back: no Pod is bare or refused, live ones go on working."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.kit import fleet
from tests.cluster.kit.command import checked
from tests.cluster.kit.install import NAMESPACE, RECONCILER, WEBHOOK, XDS, Installed, installed, render, until
from tests.cluster.kit.obtain import obtain
from tests.cluster.kit.rest import Json
from tests.cluster.kit.secret import fail_opens, stored
from tests.cluster.kit.stream import Stream, stream, version_of
from tests.cluster.kit.version import OtherVersion
from tests.cluster.kit.world import World
from webhook import __version__
from webhook.core import names
from webhook.core.model import SidecarSettings
from webhook.tls.authority import names_of
from webhook.tls.state import State

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

SHOP = "upgrade-shop"
OLD = "0.0.9"
ENVOY = SidecarSettings().image
OLD_ENVOY = "docker.io/envoyproxy/envoy:distroless-v1.39.0"


@pytest.fixture(scope="module")
def shipped() -> list[Json]:
    """Give what this version's overlay applies."""
    return render(obtain("kustomize")["kustomize"], "self-managed")


@pytest.fixture(scope="module")
def old(world, tmp_path_factory) -> OtherVersion:
    """Give an older version, which gives Pods an older Envoy."""
    return OtherVersion(world, tmp_path_factory.mktemp("old"), OLD, OLD_ENVOY)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(world, old, shipped) -> AsyncIterator[Installed]:
    """Install the old version, and have it inject a caller of three servers."""
    async with installed(world, old.objects(shipped)) as found:
        await world.namespace(SHOP, {names.INJECT: names.ENABLED}, run=True)
        await world.apply([fleet.service(), fleet.servers(), fleet.caller()], namespace=SHOP)
        for name in ("echo", "caller"):
            await world.available(SHOP, name)
        await fleet.balanced(world, SHOP)
        yield found


async def test_an_upgrade_leaves_no_pod_bare_and_no_call_failed(world, shop, shipped) -> None:
    """All Deployments roll while Pods are created and a caller calls; live Pods are rewritten, not restarted."""
    same, opened = await fleet.identities(world, SHOP), await fail_opens(world)
    before, certified = await _caller(world), await stored(world.rest)
    async with fleet.callers(world, SHOP).load("upgrade", rate=50) as tally:
        pods = await _roll(world, shipped, "upgrade-stream", to=__version__)
        await until(lambda: _caller_is(world, __version__), "the live Pod rewritten by the new version")
    evened = await fleet.balanced(world, SHOP)

    assert (version_of(before), _envoy(before)) == (OLD, OLD_ENVOY)
    assert _envoy(await _caller(world)) == OLD_ENVOY
    assert _lacks(certified) == {"evenkeel-xds.evenkeel-system.svc"}
    assert (_lacks(await stored(world.rest)), (await stored(world.rest)).signing) == (set(), certified.signing)
    assert pods.harmed == {}
    assert set(pods.versions) == {OLD, __version__}
    assert pods.injected == pods.asked == sum(pods.versions.values())
    assert await fail_opens(world) == opened
    assert (tally.failed, dict(tally.errors)) == (0, {})
    assert fleet.evenly(evened)
    assert await fleet.identities(world, SHOP) == same


async def test_check_names_the_pods_that_run_the_old_envoy_and_a_restart_ends_that(world, shop) -> None:
    """As the page on upgrades says."""
    path = f"/apis/apps/v1/namespaces/{SHOP}/deployments/caller"
    found = await checked(world.plane.kubeconfig)
    stamp = {"kubectl.kubernetes.io/restartedAt": "now"}
    await world.rest.patch(path, {"spec": {"template": {"metadata": {"annotations": stamp}}}})
    await world.available(SHOP, "caller")
    mended = await checked(world.plane.kubeconfig)

    assert f"with {OLD_ENVOY}, now it would be {ENVOY}" in str(found["envoy-image"])
    assert f"{SHOP}/caller" in str(found["envoy-image"])
    assert (found["envoy-image"]["result"], mended["envoy-image"]["result"]) == ("warning", "ok")
    assert (mended["bootstrap"]["result"], mended["versions"]["result"]) == ("ok", "ok")
    assert _envoy(await _caller(world)) == ENVOY
    assert fleet.evenly(await fleet.balanced(world, SHOP))


async def test_a_rollback_leaves_no_pod_bare_and_no_call_failed(world, shop, old, shipped) -> None:
    """New Pods are the old version's again; what the newer one wrote to live Pods stays, for minutes, and works."""
    same, opened = await fleet.identities(world, SHOP), await fail_opens(world)
    async with fleet.callers(world, SHOP).load("rollback", rate=50) as tally:
        # What the old version does not know is taken away by hand, as the page says.
        await world.delete([one for one in shipped if one["metadata"]["name"] == XDS])
        await world.gone(NAMESPACE, "app.kubernetes.io/component=xds")
        pods = await _roll(world, old.objects(shipped), "rollback-stream", to=OLD)
        await until(lambda: _left_alone(shop), "the live Pod left alone by the old reconciler")
    evened = await fleet.balanced(world, SHOP)
    versions = (await checked(world.plane.kubeconfig))["versions"]

    assert (version_of(await _caller(world)), _envoy(await _caller(world))) == (__version__, ENVOY)
    assert versions["result"] == "warning"
    assert pods.harmed == {}
    assert set(pods.versions) == {OLD, __version__}
    assert await fail_opens(world) == opened
    assert (tally.failed, dict(tally.errors)) == (0, {})
    assert fleet.evenly(evened)
    assert await fleet.identities(world, SHOP) == same


async def _roll(world: World, objects: list[Json], namespace: str, *, to: str) -> Stream:
    """Apply another version's manifests while Pods are created, until its Deployments have replaced theirs."""
    await world.namespace(namespace, {names.INJECT: names.ENABLED})
    async with stream(world.rest, namespace) as pods:
        await pods.goes_on()
        await world.apply(objects)
        await until(lambda: _all_run(world, to), f"every replica of version {to}", limit=120)
        await pods.goes_on()
        others = pods.injected - pods.versions[to]
        await pods.goes_on()
        assert pods.injected - pods.versions[to] == others
    return pods


async def _all_run(world: World, version: str) -> bool:
    """Say whether all Deployments are rolled out and their earlier Pods are gone."""
    there = await world.rest.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments")
    for deployment in there["items"]:
        await world.available(NAMESPACE, deployment["metadata"]["name"])
    images = {one["spec"]["containers"][0]["image"] for one in await world.pods(NAMESPACE)}
    return {image.rpartition(":")[2] for image in images} == {version}


async def _caller(world: World) -> Json:
    (found,) = await world.pods(SHOP, "app=caller")
    return found


async def _caller_is(world: World, version: str) -> bool:
    return version_of(await _caller(world)) == version


async def _left_alone(shop: Installed) -> bool:
    metric = "evenkeel_reconciler_pods_left_alone"
    return await shop.metric(metric, RECONCILER, reason="newer-version") >= 1


def _lacks(state: State) -> set[str]:
    """Say which of the names that somebody asks for a certificate is not made for."""
    asked = {f"{service}.{NAMESPACE}.svc" for service in (WEBHOOK, XDS)}
    return asked.difference(names_of(state.leaf.certificate) if state.leaf else ())


def _envoy(pod: Json) -> str:
    return next(str(one["image"]) for one in pod["spec"]["initContainers"] if one["name"] == names.SIDECAR)
