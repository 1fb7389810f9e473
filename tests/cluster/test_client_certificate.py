"""deploy/components/client-certificate: only an API server that shows a certificate gets an answer."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import yaml

from tests.cluster.kit import identity
from tests.cluster.kit.identity import Authority, Pair
from tests.cluster.kit.install import NAMESPACE, ROOT, WEBHOOK, Installed, injected, installed, pod, render, until
from tests.cluster.kit.obtain import obtain
from tests.cluster.kit.rest import Json
from tests.cluster.kit.secret import fail_opens
from tests.cluster.kit.stream import stream
from webhook.core import names

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

CALLERS = Authority.create("API servers")
USER = f"{WEBHOOK}.{NAMESPACE}.svc"
"""As which an API server looks up what to show us."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(world, tmp_path_factory) -> AsyncIterator[Installed]:
    """Install the component, where the API server shows a certificate."""
    folder = tmp_path_factory.mktemp("client-certificate")
    shown = _kubeconfig(folder, CALLERS.issue("kube-apiserver"))
    await world.plane.show_to_webhooks(shown)
    try:
        async with installed(world, [*_rendered(folder), _callers()]) as found:
            yield found
    finally:
        await world.plane.show_to_webhooks(None)


async def test_an_api_server_with_a_certificate_has_its_pods_injected(world, guarded) -> None:
    """Every one of them."""
    await world.namespace("client-certificate", {names.INJECT: names.ENABLED})

    async with stream(world.rest, "client-certificate") as pods:
        await pods.goes_on()

    assert pods.harmed == {}
    assert pods.injected == pods.asked >= 20


@pytest.mark.parametrize("shown", ["nothing", "a stranger's"])
async def test_a_caller_without_a_certificate_of_the_ca_gets_no_answer(guarded, shown) -> None:
    """The connection ends in the handshake, and is counted."""
    metric, reason = "evenkeel_tls_handshake_failures_total", "caller-not-trusted"
    before = await guarded.metric(metric, reason=reason)
    pair = None if shown == "nothing" else Authority.create("strangers").issue("kube-apiserver")

    with pytest.raises((httpx.TransportError, ssl.SSLError, OSError)):
        await _call(guarded, pair)

    assert await guarded.metric(metric, reason=reason) == before + 1


async def test_a_caller_with_a_certificate_of_the_ca_is_answered(guarded) -> None:
    """It is told that it sent no review."""
    assert await _call(guarded, CALLERS.issue("somebody")) == 400


async def test_an_api_server_without_a_certificate_creates_bare_pods_and_says_so(world, guarded, tmp_path) -> None:
    """We fail open; with the certificate back, Pods are injected again."""
    await world.ensure("client-certificate-none", {names.INJECT: names.ENABLED})
    try:
        await world.plane.show_to_webhooks(None)
        path = "/api/v1/namespaces/client-certificate-none/pods"
        created, warnings = await world.rest.post_with_warnings(path, pod(), dryRun="All")
        opened = await fail_opens(world)
    finally:
        await world.plane.show_to_webhooks(_kubeconfig(tmp_path, CALLERS.issue("kube-apiserver")))

    assert not injected(created)
    assert [warning for warning in warnings if "Pod some has no Evenkeel sidecar" in warning]
    # Counted since the restart.
    assert opened == 1
    await until(lambda: _injects(guarded), "injected again")


async def _injects(guarded: Installed) -> bool:
    return injected(await guarded.dry_run("client-certificate-none", name="another"))


async def _call(guarded: Installed, pair: Pair | None) -> int:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if pair is not None:
        pair.load_into(context)
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=10) as client:
        address = guarded.replicas()[0].address
        return (await client.post(f"https://{address}:10250/mutate", json={})).status_code


def _kubeconfig(folder: Path, client: Pair) -> Path:
    document = identity.webhook_kubeconfig(client)
    document["users"][0]["name"] = USER
    return identity.write_document(folder / "webhooks.kubeconfig", document)


def _rendered(folder: Path) -> list[Json]:
    """Give the self-managed overlay with the component, as a user's own kustomization has them."""
    deploy = os.path.relpath(ROOT / "deploy", folder)
    document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{deploy}/overlays/self-managed"],
        "components": [f"{deploy}/components/client-certificate"],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(document))
    return render(obtain("kustomize")["kustomize"], str(folder))


def _callers() -> Json:
    metadata = {"name": "evenkeel-client-ca", "namespace": NAMESPACE}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"ca.crt": CALLERS.pair.cert.decode()},
    }
