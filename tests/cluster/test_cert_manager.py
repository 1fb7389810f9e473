"""The overlay for cert-manager, with cert-manager's own controllers: installed, renewed, and no Pod bare.

The kubelet here brings a changed Secret to its Pods within a second; a real one takes up to a minute or two. Replicas
serve the old leaf until then, which stays valid: its CA is still published.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from cryptography import x509

from tests.cluster.kit.certmanager import cert_manager
from tests.cluster.kit.install import NAMESPACE, Installed, installed, render, until
from tests.cluster.kit.obtain import obtain
from tests.cluster.kit.rest import MERGE, Json
from tests.cluster.kit.secret import SECRET, bundles, der, fail_opens, served
from tests.cluster.kit.stream import stream
from tests.cluster.kit.sweep import ours
from tests.cluster.kit.world import World
from webhook.core import names

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

CERTIFICATES = f"/apis/cert-manager.io/v1/namespaces/{NAMESPACE}/certificates"
CA_SECRET = f"/api/v1/namespaces/{NAMESPACE}/secrets/evenkeel-ca"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def issued(world) -> AsyncIterator[Installed]:
    """Install Evenkeel where cert-manager runs."""
    objects = render(obtain("kustomize")["kustomize"], "cert-manager")
    async with cert_manager(world.plane, world.rest, obtain("certmanager")):
        async with installed(world, objects) as found:
            yield found
        left = await ours(world.rest)
        assert left == set()


async def test_the_overlay_is_ready_with_what_cert_manager_made(world, issued) -> None:
    """The leaf that both replicas serve is the Secret's, and the CA that signed it is published everywhere."""
    secret = (await world.rest.get(SECRET))["data"]
    await world.namespace("cert-manager-ready", {names.INJECT: names.ENABLED})

    assert await served(issued) == {der(_leaf(secret))}
    assert set(await bundles(world.rest)) == {secret["ca.crt"]}
    async with stream(world.rest, "cert-manager-ready") as pods:
        await pods.goes_on()
    assert pods.harmed == {}


async def test_a_leaf_is_renewed_without_a_bare_pod(world, issued) -> None:
    """As `cmctl renew` asks for it: a new key and a new leaf of the same CA."""
    await world.namespace("cert-manager-leaf", {names.INJECT: names.ENABLED})
    before, opened = await world.rest.get(SECRET), await fail_opens(world)
    async with stream(world.rest, "cert-manager-leaf") as pods:
        await _renew(world, "evenkeel-webhook")
        after = await _changed(world, SECRET, before)
        await until(lambda: _served_is(issued, after), "the new leaf served by both")
        await pods.goes_on()

    assert after["data"]["tls.key"] != before["data"]["tls.key"]
    assert after["data"]["ca.crt"] == before["data"]["ca.crt"]
    assert pods.harmed == {}
    assert pods.injected == pods.asked > 20
    assert await fail_opens(world) == opened


async def test_a_ca_is_renewed_without_a_bare_pod(world, issued) -> None:
    """It keeps its key (rotationPolicy Never): old and new CA each verify what the other has signed."""
    await world.namespace("cert-manager-ca", {names.INJECT: names.ENABLED})
    before, leaf, opened = await world.rest.get(CA_SECRET), await world.rest.get(SECRET), await fail_opens(world)
    async with stream(world.rest, "cert-manager-ca") as pods:
        await _renew(world, "evenkeel-ca")
        after = await _changed(world, CA_SECRET, before)
        await pods.goes_on()
        await _renew(world, "evenkeel-webhook")
        renewed = await _changed(world, SECRET, leaf)
        await until(lambda: _publishes(world, after["data"]["tls.crt"]), "the new CA published")
        await until(lambda: _served_is(issued, renewed), "a leaf of it served by both")
        await pods.goes_on()

    assert after["data"]["tls.key"] == before["data"]["tls.key"]
    assert renewed["data"]["ca.crt"] == after["data"]["tls.crt"]
    assert pods.harmed == {}
    assert pods.injected == pods.asked > 40
    assert await fail_opens(world) == opened
    assert {pod.statuses["webhook"].restarts for pod in issued.replicas()} == {0}


async def _renew(world: World, certificate: str) -> None:
    """Have a Certificate issued anew, in the way of `cmctl renew`: by its condition Issuing."""
    path = f"{CERTIFICATES}/{certificate}"
    found = await world.rest.get(path)
    others = [one for one in found["status"]["conditions"] if one["type"] != "Issuing"]
    issuing = {
        "type": "Issuing",
        "status": "True",
        "reason": "ManuallyTriggered",
        "message": "asked for",
        "lastTransitionTime": found["metadata"]["creationTimestamp"],
        "observedGeneration": found["metadata"]["generation"],
    }
    await world.rest.patch(f"{path}/status", {"status": {"conditions": [*others, issuing]}}, MERGE)


async def _changed(world: World, path: str, before: Json) -> Json:
    async def changed() -> Json | None:
        found: Json = await world.rest.get(path)
        return found if found["data"]["tls.crt"] != before["data"]["tls.crt"] else None

    return await until(changed, f"{path} issued anew")


async def _served_is(issued: Installed, secret: Json) -> bool:
    return await served(issued) == {der(_leaf(secret["data"]))}


async def _publishes(world: World, ca: str) -> bool:
    """Say whether every caBundle has a CA; cert-manager leaves the one before it in there."""
    (wanted,) = x509.load_pem_x509_certificates(b64decode(ca))
    return all(wanted in x509.load_pem_x509_certificates(b64decode(one)) for one in await bundles(world.rest))


def _leaf(data: Json) -> x509.Certificate:
    return x509.load_pem_x509_certificate(b64decode(data["tls.crt"]))
