"""The two ways to a serving certificate, and the option that asks for the caller's."""

from __future__ import annotations

from typing import Any

from tests.deploy.objects import CERTS, COMPONENTS, DEPLOY, Json, base, of_kind, read, seconds
from webhook.core import names
from webhook.settings import Settings

FOLDER = CERTS / "cert-manager"
[CA] = read(FOLDER / "ca.yaml")
[LEAF] = read(FOLDER / "certificate.yaml")
ISSUERS = of_kind("Issuer", read(FOLDER / "issuer.yaml"))


def webhook_of(patch: Json) -> Json:
    """Give the only container that a patch of the Deployment changes."""
    [container] = patch["spec"]["template"]["spec"]["containers"]
    assert container["name"] == "webhook"
    return container


def mounted(patch: Json) -> dict[str, set[str]]:
    """Give the files that a patch brings, by folder."""
    volumes = {volume["name"]: volume for volume in patch["spec"]["template"]["spec"]["volumes"]}
    return {
        mount["mountPath"]: {item["path"] for source in _sources(volumes[mount["name"]]) for item in source["items"]}
        for mount in webhook_of(patch)["volumeMounts"]
    }


def _sources(volume: Json) -> list[Any]:
    return [value for key, value in volume.items() if key != "name"]


def test_the_certificate_is_for_the_names_that_api_servers_and_sidecars_ask_for() -> None:
    """A Service in a namespace, without the cluster's domain."""
    settings = Settings()
    services = (settings.service, settings.sidecar.xds_service)

    assert LEAF["spec"]["dnsNames"] == [f"{service}.{names.SYSTEM_NAMESPACE}.svc" for service in services]
    assert LEAF["spec"]["secretName"] == settings.certificate_secret
    assert "server auth" in LEAF["spec"]["usages"]


def test_a_renewed_ca_keeps_its_key() -> None:
    """So that it verifies what the old one has signed; the leaf's key is a new one each time."""
    assert CA["spec"]["isCA"] is True
    assert CA["spec"]["privateKey"]["rotationPolicy"] == "Never"
    assert LEAF["spec"]["privateKey"]["rotationPolicy"] == "Always"


def test_both_are_renewed_at_two_thirds_of_their_life() -> None:
    """And the leaf lives a small part of what its CA has left then."""
    for one in (CA, LEAF):
        assert seconds(one["spec"]["renewBefore"]) * 3 == seconds(one["spec"]["duration"])

    assert seconds(LEAF["spec"]["duration"]) * 10 < seconds(CA["spec"]["renewBefore"])
    assert seconds(LEAF["spec"]["duration"]) == Settings().certificate_lifetime_hours * 3600


def test_the_issuers_follow_each_other() -> None:
    """Self-signed for the CA, the CA for the leaf."""
    signing = ISSUERS[LEAF["spec"]["issuerRef"]["name"]]["spec"]["ca"]["secretName"]

    assert ISSUERS[CA["spec"]["issuerRef"]["name"]]["spec"] == {"selfSigned": {}}
    assert signing == CA["spec"]["secretName"]


def test_the_ca_is_injected_into_both_configurations() -> None:
    """The one that signed what is served."""
    [kustomization] = read(FOLDER / "kustomization.yaml")
    [[operation]] = read(FOLDER / "ca-injection-patch.yaml")
    [target] = [patch["target"] for patch in kustomization["patches"] if patch["path"] == "ca-injection-patch.yaml"]

    assert operation["value"] == {
        "cert-manager.io/inject-ca-from": f"{names.SYSTEM_NAMESPACE}/{LEAF['metadata']['name']}"
    }
    assert target["kind"].split("|") == ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"]
    # The operation makes the annotations, which would take away any that were there.
    assert all("annotations" not in one["metadata"] for one in base() if one["kind"] in target["kind"].split("|"))


def test_the_webhook_is_given_the_files_that_are_mounted() -> None:
    """Both options name one."""
    [patch] = read(FOLDER / "deployment-patch.yaml")
    options = dict(argument.split("=") for argument in webhook_of(patch)["args"][1:])

    assert set(options) == {"--tls-cert", "--tls-key"}
    assert mounted(patch) == {"/etc/evenkeel/tls": {path.rpartition("/")[2] for path in options.values()}}
    assert {path.rpartition("/")[0] for path in options.values()} == {"/etc/evenkeel/tls"}


def test_a_certificate_of_our_own_needs_no_file() -> None:
    """Only to be told so."""
    [patch] = read(CERTS / "self-managed" / "deployment-patch.yaml")
    [variable] = webhook_of(patch)["env"]

    assert variable == {"name": "EVENKEEL_CERTIFICATE", "value": "self-managed"}
    assert "args" not in webhook_of(patch)


def test_the_secret_ships_without_contents() -> None:
    """Applying it again leaves alone what a replica has written, and it fits on a Secret of any type."""
    [secret] = read(CERTS / "self-managed" / "secret.yaml")

    assert set(secret) == {"apiVersion", "kind", "metadata"}


def test_the_callers_ca_is_mounted_where_the_webhook_looks() -> None:
    """The ConfigMap is the operator's."""
    [patch] = read(COMPONENTS / "client-certificate" / "deployment-patch.yaml")
    [variable] = webhook_of(patch)["env"]

    assert variable["name"] == "EVENKEEL_CLIENT_CA"
    assert mounted(patch) == {variable["value"].rpartition("/")[0]: {variable["value"].rpartition("/")[2]}}


def test_tools_that_compare_are_told_of_every_ca_bundle() -> None:
    """And of the other fields that are written in the cluster."""
    entries = {
        kind: len(one["webhooks"])
        for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
        for one in of_kind(kind, base()).values()
    }
    [application] = read(DEPLOY / "gitops" / "argo-cd.yaml")
    [release] = read(DEPLOY / "gitops" / "flux-helm-release.yaml")
    argo = {rule["kind"]: rule for rule in application["spec"]["ignoreDifferences"]}
    flux = {rule["target"]["kind"]: rule["paths"] for rule in release["spec"]["driftDetection"]["ignore"]}

    assert set(argo) == set(flux) == {*entries, "Secret", "Lease"}
    for kind, count in entries.items():
        assert argo[kind]["jqPathExpressions"] == [".webhooks[]?.clientConfig.caBundle"]
        assert flux[kind] == [f"/webhooks/{index}/clientConfig/caBundle" for index in range(count)]
    assert "RespectIgnoreDifferences=true" in application["spec"]["syncPolicy"]["syncOptions"]
