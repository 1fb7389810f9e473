"""cert-manager's controllers issue and inject on the test control plane as they do in a cluster."""

from __future__ import annotations

from base64 import b64decode

import pytest
import pytest_asyncio
from cryptography import x509

from tests.cluster.kit.certmanager import cert_manager
from tests.cluster.kit.controlplane import ControlPlane
from tests.cluster.kit.obtain import obtain
from tests.cluster.kit.rest import Rest, until

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="module")]

NAMESPACE = "issued"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
OURS = f"/apis/cert-manager.io/v1/namespaces/{NAMESPACE}"
HOOKS = "admissionregistration.k8s.io/v1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rest(tmp_path_factory):
    """Have a control plane with cert-manager, and send requests as an administrator."""
    programs = obtain("etcd", "kubernetes", "certmanager")
    async with ControlPlane(tmp_path_factory.mktemp("cluster"), programs) as plane, Rest(plane.kubeconfig) as rest:
        await plane.namespace(NAMESPACE)
        async with cert_manager(plane, rest, programs):
            yield rest


def _object(kind, name, **spec):
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _configuration(kind):
    service = {"name": "hook", "namespace": NAMESPACE}
    webhook = {
        "name": "hook.example.org",
        "clientConfig": {"service": service},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
        "rules": [],
    }
    metadata = {"name": "hook", "annotations": {"cert-manager.io/inject-ca-from": f"{NAMESPACE}/leaf"}}
    return {"apiVersion": HOOKS, "kind": kind, "metadata": metadata, "webhooks": [webhook]}


async def test_a_certificate_is_issued_and_its_ca_injected(rest):
    """From an own CA, into both kinds of webhook configuration."""
    await rest.apply(_object("Issuer", "self", selfSigned={}))
    ca = {"isCA": True, "commonName": "own", "secretName": "ca", "issuerRef": {"name": "self"}}
    await rest.apply(_object("Certificate", "ca", **ca))
    await rest.apply(_object("Issuer", "ca", ca={"secretName": "ca"}))
    leaf = {"dnsNames": ["hook.issued.svc"], "secretName": "leaf", "issuerRef": {"name": "ca"}}
    await rest.apply(_object("Certificate", "leaf", **leaf))
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        await rest.apply(_configuration(kind))

    await until(rest, f"{OURS}/certificates/leaf", _is_ready)
    secret = (await rest.get(f"{CORE}/secrets/leaf"))["data"]
    issued, signer = (x509.load_pem_x509_certificate(b64decode(secret[name])) for name in ("tls.crt", "ca.crt"))
    issued.verify_directly_issued_by(signer)
    for plural in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
        found = await until(rest, f"/apis/{HOOKS}/{plural}/hook", _is_injected)

        assert found["webhooks"][0]["clientConfig"]["caBundle"] == secret["ca.crt"]


async def test_a_certificate_whose_secret_is_deleted_is_issued_anew(rest):
    """As when somebody forces a rotation."""
    await rest.apply(_object("Issuer", "self", selfSigned={}))
    certificate = {"dnsNames": ["hook.issued.svc"], "secretName": "renewed", "issuerRef": {"name": "self"}}
    await rest.apply(_object("Certificate", "renewed", **certificate))
    # While the first issuance is being wound up, a Secret that is missing is written again with what it had.
    await until(rest, f"{OURS}/certificates/renewed", lambda found: _is_ready(found) and not _is_under_way(found))
    first = (await rest.get(f"{CORE}/secrets/renewed"))["data"]["tls.crt"]

    await rest.delete(f"{CORE}/secrets/renewed")

    second = await until(rest, f"{CORE}/secrets/renewed", lambda found: "tls.crt" in found["data"], refused=(404,))
    assert second["data"]["tls.crt"] != first


def _is_ready(certificate):
    conditions = certificate.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _is_under_way(certificate):
    status = certificate.get("status", {})
    issuing = any((one["type"], one["status"]) == ("Issuing", "True") for one in status.get("conditions", []))
    return issuing or "nextPrivateKeySecretName" in status


def _is_injected(configuration):
    return "caBundle" in configuration["webhooks"][0]["clientConfig"]
