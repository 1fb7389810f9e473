"""Overlays and chart as kustomize and helm render them: complete, and the same.

Both programs are built from their Go modules; where Go is absent the tests say so.
"""

from __future__ import annotations

import os
import subprocess
from base64 import b64decode
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import yaml

from tests.cluster.kit.obtain import obtain
from tests.deploy.objects import CERTS, CHART, COMPONENTS, DEPLOY, VALUES, Json, base, of_kind, read
from webhook.core import names
from webhook.settings import Settings, environment_name, keys, load_settings

pytestmark = pytest.mark.cluster

OPTIONS = ("alerts", "client-certificate", "network-policy", "pod-monitor", "service-monitor", "sidecar-monitor")
Objects = dict[tuple[str, str], Json]
Render = Callable[..., Objects]


@pytest.fixture(scope="module")
def kustomize(tmp_path_factory) -> Render:
    """Render an overlay, with components on top of it."""
    program = obtain("kustomize")["kustomize"]

    def render(overlay: str, *components: str) -> Objects:
        folder = tmp_path_factory.mktemp("kustomization")
        document = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [os.path.relpath(DEPLOY / "overlays" / overlay, folder)],
            "components": [os.path.relpath(COMPONENTS / name, folder) for name in components],
        }
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(document))
        return by_identity(run(program, "build", str(folder)))

    return render


@pytest.fixture(scope="module")
def helm(tmp_path_factory) -> Callable[..., str]:
    """Run helm on the chart, without the configuration and the cluster of whoever runs the test."""
    program = obtain("helm")["helm"]
    home = tmp_path_factory.mktemp("helm")

    def call(*arguments: str, values: str = "defaults", namespace: str = names.SYSTEM_NAMESPACE) -> str:
        command, *rest = arguments
        named = [] if command == "lint" else ["evenkeel"]
        chart = [*named, str(CHART), "--namespace", namespace, "--values", str(VALUES / f"{values}.yaml")]
        return run(program, command, *chart, *rest, home=home)

    return call


def run(program: Path, *arguments: str, home: Path | None = None) -> str:
    """Run a program; its last words are the failure's."""
    env = {"PATH": os.environ["PATH"], "HOME": str(home or Path.home())}
    ran = subprocess.run([program, *arguments], env=env, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def by_identity(text: str) -> Objects:
    """Read rendered manifests; no object may be there twice."""
    documents = [one for one in yaml.safe_load_all(text) if one is not None]
    found = {(one["kind"], one["metadata"]["name"]): one for one in documents}

    assert len(found) == len(documents)
    return found


def without(objects: Objects, *gone: tuple[str, str]) -> Objects:
    """Leave objects out, which must be there."""
    assert set(gone) <= set(objects)
    return {identity: one for identity, one in objects.items() if identity not in gone}


def webhook_container(objects: Objects) -> Json:
    """Give the container of the webhook."""
    return container_of(objects["Deployment", "evenkeel-webhook"])


def container_of(deployment: Json) -> Json:
    """Give a Deployment's only container."""
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return container


def identities(documents: Iterable[Json]) -> set[tuple[str, str]]:
    """Give kinds and names."""
    return {(one["kind"], one["metadata"]["name"]) for one in documents}


@pytest.mark.parametrize("overlay", ["self-managed", "cert-manager"])
def test_an_overlay_is_the_base_and_a_way_to_a_certificate(kustomize, overlay) -> None:
    """Nothing is lost, and nothing else comes in."""
    own = [one for path in (CERTS / overlay).glob("*.yaml") for one in read(path)]
    added = [one for one in own if isinstance(one, dict) and "labels" in one.get("metadata", {})]

    assert set(kustomize(overlay)) == identities(base()) | identities(added)


def test_self_managed_certificates_reach_the_container_and_the_role(kustomize) -> None:
    """The patches find what they are for."""
    objects = kustomize("self-managed")
    rules = objects["ClusterRole", "evenkeel-webhook"]["rules"]

    assert {"name": "EVENKEEL_CERTIFICATE", "value": "self-managed"} in webhook_container(objects)["env"]
    assert webhook_container(objects)["args"] == ["serve"]
    assert [rule["verbs"] for rule in rules][-2:] == [["get"], ["patch"]]


def test_cert_managers_certificate_reaches_the_container_and_the_configurations(kustomize) -> None:
    """And the rights to write caBundle are left out: cert-manager has them."""
    objects = kustomize("cert-manager")
    found = of_kind("MutatingWebhookConfiguration", objects.values()) | of_kind(
        "ValidatingWebhookConfiguration", objects.values()
    )

    assert webhook_container(objects)["args"][0] == "serve"
    assert [mount["mountPath"] for mount in webhook_container(objects)["volumeMounts"]] == ["/etc/evenkeel/tls"]
    assert all("cert-manager.io/inject-ca-from" in one["metadata"]["annotations"] for one in found.values())
    assert not any("patch" in rule["verbs"] for rule in objects["ClusterRole", "evenkeel-webhook"]["rules"])


def test_high_availability_demands_what_the_base_wishes_for(kustomize) -> None:
    """Three replicas, on three nodes, in as many zones as there are."""
    objects, plain = kustomize("high-availability"), kustomize("self-managed")

    assert set(objects) == set(plain)
    for name in ("evenkeel-webhook", "evenkeel-xds"):
        spec = objects["Deployment", name]["spec"]
        spread = spec["template"]["spec"]["topologySpreadConstraints"]

        assert spec["replicas"] == 3
        assert {one["topologyKey"]: one["whenUnsatisfiable"] for one in spread} == {
            "kubernetes.io/hostname": "DoNotSchedule",
            "topology.kubernetes.io/zone": "DoNotSchedule",
        }


@pytest.mark.parametrize("overlay", ["self-managed", "cert-manager"])
def test_all_components_fit_on_either_overlay_together(kustomize, overlay) -> None:
    """Also where two of them change one container."""
    objects = kustomize(overlay, "high-availability", "no-reconciler", "no-xds", *OPTIONS)
    variables = [entry["name"] for entry in webhook_container(objects)["env"]]

    assert {"EVENKEEL_CLIENT_CA", "EVENKEEL_SIDECAR_OWN_NAMESPACE"} <= set(variables)
    assert ("PodMonitor", "evenkeel") in objects
    assert ("ServiceMonitor", "evenkeel") in objects
    assert ("NetworkPolicy", "evenkeel-webhook") in objects


@pytest.mark.parametrize(("part", "count"), [("reconciler", 9), ("xds", 6)])
def test_without_a_part_nothing_of_it_is_left(kustomize, part, count) -> None:
    """Neither its rights nor what guards them."""
    objects, whole = kustomize("self-managed", f"no-{part}"), kustomize("self-managed")

    assert set(whole) - set(objects) == {identity for identity in whole if identity[1] == f"evenkeel-{part}"}
    assert len(whole) - len(objects) == count


@pytest.mark.parametrize("values", sorted(path.stem for path in VALUES.iterdir()))
def test_helm_lint_has_nothing_to_say(helm, values) -> None:
    """Not even a warning."""
    assert "1 chart(s) linted, 0 chart(s) failed" in helm("lint", "--strict", values=values)


@pytest.mark.parametrize(
    ("values", "overlay", "components"),
    [
        ("defaults", "self-managed", ()),
        ("cert-manager", "cert-manager", ()),
        ("high-availability", "high-availability", ()),
        ("every-option", "self-managed", OPTIONS),
    ],
)
def test_the_chart_gives_what_the_overlay_gives(helm, kustomize, values, overlay, components) -> None:
    """Object by object, but for the namespace: Helm keeps its notes there, so it is there before."""
    rendered = by_identity(helm("template", values=values))
    expected = without(kustomize(overlay, *components), ("Namespace", names.SYSTEM_NAMESPACE))

    assert set(rendered) == set(expected)
    for identity, one in expected.items():
        assert rendered[identity] == one, identity


def test_the_chart_without_options_is_the_overlay_without_them(helm, kustomize) -> None:
    """No reconciler, no control plane of endpoints, no policies, no priority class."""
    least = kustomize("self-managed", "no-reconciler", "no-xds")
    policies = [one for one in least if "AdmissionPolicy" in one[0]]
    expected = without(least, ("Namespace", names.SYSTEM_NAMESPACE), ("PriorityClass", "evenkeel"), *policies)
    del expected["Deployment", "evenkeel-webhook"]["spec"]["template"]["spec"]["priorityClassName"]

    assert by_identity(helm("template", values="minimal")) == expected


def test_settings_reach_every_command(helm, tmp_path) -> None:
    """In a file that Evenkeel reads, and the ports of the containers follow them."""
    objects = by_identity(helm("template", values="own-secret-and-settings"))
    file = tmp_path / "settings.yaml"
    file.write_text(objects["ConfigMap", "evenkeel-settings"]["data"]["settings.yaml"])
    settings = load_settings(file, {}, {})
    path = "/etc/evenkeel/settings/settings.yaml"
    called = {"webhook": [settings.port], "reconciler": [], "xds": [settings.sidecar.xds_port]}

    for kind, ports in called.items():
        container = container_of(objects["Deployment", f"evenkeel-{kind}"])

        assert f"--settings={path}" in container["args"]
        assert path.startswith(container["volumeMounts"][-1]["mountPath"])
        assert [port["containerPort"] for port in container["ports"]] == [*ports, settings.health_port]
        assert container["image"].startswith("registry.example.com/mirror/evenkeel@sha256:")


def test_another_port_of_the_control_plane_is_another_of_its_service(helm) -> None:
    """A Service without an address leads to the same port on the Pods, so they serve on the one that sidecars call."""
    objects = by_identity(helm("template", values="own-secret-and-settings"))
    [values] = read(VALUES / "own-secret-and-settings.yaml")
    [port] = objects["Service", "evenkeel-xds"]["spec"]["ports"]
    container = container_of(objects["Deployment", "evenkeel-xds"])

    assert port["port"] == values["settings"]["sidecar"]["xds_port"] != Settings().sidecar.xds_port
    assert container["ports"][0]["containerPort"] == port["port"]


def test_a_secret_of_ones_own_comes_with_its_ca(helm) -> None:
    """In every entry of both configurations."""
    objects = by_identity(helm("template", values="own-secret-and-settings"))
    [values] = read(VALUES / "own-secret-and-settings.yaml")
    entries = [
        entry
        for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
        for entry in objects[kind, "evenkeel"]["webhooks"]
    ]
    volumes = [
        objects["Deployment", f"evenkeel-{kind}"]["spec"]["template"]["spec"]["volumes"][0]
        for kind in ("webhook", "xds")
    ]

    assert {b64decode(entry["clientConfig"]["caBundle"]).decode() for entry in entries} == {
        values["certificate"]["caBundle"]
    }
    assert {one["secret"]["secretName"] for one in volumes} == {values["certificate"]["secretName"]}


@pytest.mark.parametrize("values", ["defaults", "cert-manager", "every-option"])
def test_another_namespace_is_another_everywhere(helm, values) -> None:
    """In the certificate, the selectors, the bindings and the guard."""
    text = helm("template", values=values, namespace="balancing")
    objects = by_identity(text)
    guard = objects["ValidatingAdmissionPolicy", "evenkeel-reconciler"]["spec"]["matchConditions"][0]

    assert names.SYSTEM_NAMESPACE not in text
    assert "system:serviceaccount:balancing:evenkeel-reconciler" in guard["expression"]


@pytest.mark.parametrize("values", sorted(path.stem for path in VALUES.iterdir()))
def test_every_variable_the_chart_sets_is_a_setting(helm, values) -> None:
    """Whatever the values."""
    known = {environment_name(key) for key in keys()}
    deployments = of_kind("Deployment", by_identity(helm("template", values=values)).values())

    assert {entry["name"] for one in deployments.values() for entry in container_of(one)["env"]} <= known


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("certificate.mode=certmanager", "certificate/mode"),
        ("webhook.replica=3", "replica"),
        ("webhook.failurePolicy=Fail", "failurePolicy"),
        ("image.digest=latest", "image/digest"),
        ("webhook.replicas=0", "webhook/replicas"),
        ("xds.replicas=none", "xds/replicas"),
        ("xds.port=18001", "port"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(helm, setting, told) -> None:
    """Before anything reaches a cluster."""
    with pytest.raises(AssertionError, match=told):
        helm("template", "--set", setting)


def test_the_notes_name_what_comes_next(helm) -> None:
    """And what stays when the release goes."""
    notes = helm("install", "--dry-run=client", values="cert-manager").partition("NOTES:")[2]

    assert f"kubectl label namespace <yours> {names.INJECT}={names.ENABLED}" in notes
    assert "evenkeel check" in notes
    assert "evenkeel-ca" in notes
